from bench.running.experiment import Experiment

EXPERIMENT = Experiment(
    "tiny", "sinusoid", "maml", iterations=20, validations=4, seed=3, data={"queries": 7}
)


def test_all_arguments_are_recorded_with_their_defaults():
    fields = EXPERIMENT.fields
    assert fields["data"]["queries"] == fields["queries"] == 7
    assert fields["data"]["tasks_per_batch"] == 8
    assert fields["data"]["seed"] == fields["learner"]["seed"] == fields["seed"] == 3
    assert fields["learner"]["order"] == 2
    assert fields["ways"] is None


def test_the_key_can_be_read():
    assert EXPERIMENT.key.startswith("sinusoid-10shot-maml-s3-")


def test_no_machine_path_is_recorded():
    experiment = Experiment("tiny", "omniglot", "maml", 1, data={"data_root": "/somewhere"})
    assert "/somewhere" not in str(experiment.fields)
    assert experiment.data_arguments["data_root"] == "/somewhere"


def test_validations_divide_the_run_into_epochs():
    assert EXPERIMENT.data_arguments["iterations_per_epoch"] == 5
