import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow
from gradtts_interp.interpolation.noise_text import parse_tuning


def test_nothing_written_is_the_default():
    assert parse_tuning([]) == NoiseTuning()


def test_each_setting_can_be_written():
    written = [
        "target=initial",
        "optimiser=adam",
        "shell=no",
        "max_move=0.2",
        "patience=2",
        "budget_seconds=4.5",
        "budget_steps=7",
        "checkpointing=yes",
        "window=0.8-1:style=a:region=pitch:steps=6",
        "window=.6-.8:style=b:region=rest:objective=mass_out:learning_rate=0.1:sites=down1+mid",
    ]
    assert parse_tuning(written) == NoiseTuning(
        windows=(
            NoiseWindow(0.8, 1.0, style=0, region="pitch", steps=6),
            NoiseWindow(
                0.6,
                0.8,
                style=1,
                region="rest",
                objective="mass_out",
                learning_rate=0.1,
                sites={"down1": 1.0, "mid": 1.0},
            ),
        ),
        target="initial",
        optimiser="adam",
        shell=False,
        max_move=0.2,
        patience=2,
        budget_seconds=4.5,
        budget_steps=7,
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("speed=3", "name of target"),
        ("target", "name=value"),
        ("max_move=far", "expected float"),
        ("shell=perhaps", "yes or no"),
        ("budget_steps=1.5", "expected int"),
        ("window=early", "such as 0.8-1"),
        ("window=0.8-1:style=c", "a or b"),
        ("window=1-0.8", "t_from < t_to"),
        ("target=mel", "latent, initial"),
        ("windows=3", "name=value"),
    ],
)
def test_what_is_no_setting_is_named(written, message):
    with pytest.raises(InputError, match=message):
        parse_tuning([written])
