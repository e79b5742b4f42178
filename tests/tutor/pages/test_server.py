import os
import re
import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

import pytest


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted(taught, tmp_path):
    (tmp_path / "questions.csv").write_text("item_id,text,choices,answer\nq0,Zero?,a|b,a\n")
    options = f"--checkpoint {taught}/irt.ckpt --db class.sqlite --questions questions.csv --port 0"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "tutor", *options.split()],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    assert "Read questions.csv: 1 of 20 questions." in said
    addresses = re.findall(r"http://127.0.0.1:\d+/[pt]/[\w-]{16}/", said)
    assert len(addresses) == 2
    for address, words in zip(addresses, ("What is your name?", "Nobody has answered yet")):
        with urlopen(address) as page:
            assert words in page.read().decode()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert rest.splitlines()[-1] == "Ended."
    assert process.returncode == 0


def test_what_cannot_be_served_is_refused(taught, tmp_path, refused):
    begin = f"tutor --checkpoint {taught / 'irt.ckpt'} --db {taught / 'served.sqlite'}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(f"{begin} --port {port}", f"--port {port}: cannot listen there")
    refused(f"{begin} --port 70000", "--port 70000: give one from 1 to 65535")
    refused(f"{begin} --selection baies", "did you mean bayes")
    refused(f"{begin} --most 0", "--most 0: give at least 1")
    refused(f"{begin} --questions nowhere.csv", "nowhere.csv: there is no such file")
    single = begin.replace("irt.ckpt", "dkt.ckpt")
    refused(f"{single} --selection bayes", "one DKT has no posterior")
