"""A run's folder: alarms, the metrics of a step, what is written, and the one way to read it back."""

import record
from options import parse_train


def test_alarms_speak_in_words_and_only_when_something_is_off():
    fine = {
        "sampling_logp_difference": 1e-6,
        "truncated_rate": 0.5,
        "zero_signal_groups": 8,
        "groups": 10,
        "no_answer_rate": 0.2,
        "skipped_updates": 0,
    }
    options = parse_train(["--device", "cpu"])
    assert record.alarms(fine, options, bfloat16=False) == {}
    for name, value, word in (
        ("sampling_logp_difference", 2e-3, "disagree"),
        ("truncated_rate", 0.51, "--max_response_length"),
        ("zero_signal_groups", 9, "--dynamic_sampling"),
        ("no_answer_rate", 0.21, "--instruction"),
        ("skipped_updates", 1, "skipped"),
    ):
        found = record.alarms(fine | {name: value}, options, bfloat16=False)
        assert len(found) == 1 and word in next(iter(found.values()))
    none_taken = parse_train(["--device", "cpu", "--objective", "clip_cov"])
    assert (
        "--cov_lower_quantile"
        in record.alarms(fine | {"cov_taken": 0}, none_taken, False)["clip_cov"]
    )
    assert record.alarms(fine | {"cov_taken": 1}, none_taken, False) == {}
    # A disagreement of 0.002 is rounding in bf16, and one of 0.2 is not.
    assert record.alarms(fine | {"sampling_logp_difference": 2e-3}, options, bfloat16=True) == {}
    assert record.alarms(fine | {"sampling_logp_difference": 0.2}, options, bfloat16=True)
