"""What of arXiv 2508.02260 holds on a run: a room a level of the paper, and what the rooms share.

| room | what is in it | read it for |
|---|---|---|
| `stages.py` | the knee, the rising stage, the plateau | where the two stages of a run lie |
| `effects.py` | `Effect`, `Finding`, verdicts, Student's t | what a finding is, and when it holds |
| `words.py` | kinds of words, defects of a text | which token is mathematics, which text broken |
| `sampled.py` | the saved rollouts as tensors | what is known about every token of a run |
| `figures.py` | colours, axes, saving; report/training.png | how a figure looks |
| `two_stages.py` | S1 | are there two stages, or a smooth decay, or three? |
| `stage_level.py` | S2 to S4 | what changes in the rising stage |
| `token_level.py` | S5, S6, T1 | what updates do to which tokens, beside what any updates do |
| `instance_level.py` | I1 | which rollouts they change most |
| `exploration.py` | X1 | are more questions solved, or the same ones more often? |
| `replacement.py` | I2, T2 | the experiment: what does replacing a token cost? |
| `settings.py` | I3, T3, F | several runs: do the paper's methods help? |
| `differences.py` | tables of settings | Holm's correction, power, runs that never arrive |
| `mechanism.py` | report/entropy_change.png | is what an update does to entropy as predicted? |
| `law.py`, `law_fits.py` | R = b - a exp(H), and its rivals | is accuracy paid for with entropy? |
| `report.py` | report.md, findings.json, a run's end | all findings, in the order of the paper |

A finding is a function from what a run recorded to a `Finding`, whose parts it fills in this order:
the paper's claim in our words; its effects, each a number with its 95 % interval; its figure. The
verdict follows from the effects by one rule. A finding of your own is one more such function, and
its call in the list of `report.findings_of`.
"""
