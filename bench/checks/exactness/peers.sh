#!/bin/sh
# A virtual environment with the peers, beside the one that maml-bench is in (torch is taken from
# there). Called as: sh peers.sh FOLDER [PYTHON of maml-bench]; then, for each NAME below,
#   maml-bench speed --exactness --contestants NAME --peer-python NAME=FOLDER/bin/python
# NAME: learn2learn higher torchopt iteryne parallel-metalearn parallel-metalearn-sequential
#       parallel-metalearn-translated jax-im2col
set -e
folder=$1 python=${2:-python}
"$python" -m venv "$folder"
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$site/with_torch.pth"
install() { "$folder/bin/pip" install --no-deps "$@"; }
install higher==0.2.1 torchopt==0.7.3 graphviz optree iteryne==0.1.0 parallel-metalearn==0.5.6
install jax==0.10.2 jaxlib==0.10.2 ml_dtypes opt_einsum optax==0.2.8 absl-py chex toolz
# learn2learn's C files were made by a Cython that is too old for this Python: made anew
install 'Cython<3.1' 'setuptools<70' wheel gym gym_notices cloudpickle qpth requests urllib3 \
  certifi idna charset_normalizer tqdm
work=$(mktemp -d)
"$folder/bin/pip" download --no-deps --no-build-isolation -d "$work" learn2learn==0.2.0
tar -xzf "$work"/learn2learn-0.2.0.tar.gz -C "$work"
(cd "$work"/learn2learn-0.2.0 && "$folder/bin/python" setup.py build_ext bdist_wheel)
install "$work"/learn2learn-0.2.0/dist/*.whl
rm -r "$work"
