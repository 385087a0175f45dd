"""How long one training step takes, and how much memory, beside TRL's GRPOTrainer where it is installed.

    pip install trl
    python tests/bench_step.py

Both train the warmed-up toy from the same weights on the same questions: 16 questions x 8 rollouts and
2 optimizer steps on 64 rollouts each, clip 0.2 / 0.28, token-level mean, no KL term, AdamW. Each lives in
a process of its own, and they take turns of a few steps, the other one waiting, so that whatever else
the machine does meets both alike. The same grader gives the rewards. Lengths differ a little, as the
two sample different tokens; the table gives them. Not a test: nothing is asserted.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

QUESTIONS, GROUP, UPDATES, LENGTH = 16, 8, 2, 64


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=6, help="turns of each side (default 6)")
    parser.add_argument("--steps", type=int, default=5, help="training steps a turn (default 5)")
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu (default auto)")
    parser.add_argument("--worker", choices=("ours", "trl"), help=argparse.SUPPRESS)
    return parser.parse_args()


def answer(**measured) -> None:
    """Tell the parent what a turn measured, and wait for the next."""
    print("BENCH " + json.dumps(measured), flush=True)
    if not sys.stdin.readline():
        os._exit(0)


def ours(options) -> None:
    """The loop of train.py, step by step."""
    import train
    from options import parse_train

    arguments = ["--seed", "1", "--device", options.device, "--run", tempfile.mkdtemp()]
    arguments += ["--probe_every", "0", "--learning_rate", "1e-4"]
    training = train.start(parse_train(arguments))

    def step():
        metrics, _, _ = train.training_step(training)
        return metrics

    step()
    answer()
    while True:
        began = time.perf_counter()
        lines = [step() for _ in range(options.steps)]
        seconds = (time.perf_counter() - began) / options.steps
        phases = {
            name: statistics.fmean(line[f"{name}_seconds"] for line in lines)
            for name in ("sample", "score", "update")
        }
        length = statistics.fmean(line["response_length"] for line in lines)
        memory = max(line["peak_memory"] for line in lines)
        answer(seconds=seconds, length=length, memory=memory, **phases)


def trl(options) -> None:
    """GRPOTrainer, which waits for its turn in a callback."""
    import datasets
    import torch
    from transformers import AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    import toy
    from data import draw
    from options import choose_device
    from record import peak_memory
    from reward import grade

    folder = toy.model_folder()
    asked = draw(toy.training_questions(), 1, 0, 8000)
    rows = {"prompt": [q.text + "\n" for q in asked], "gold": [q.gold for q in asked]}
    lengths = []

    def reward(completions, gold, completion_ids, **_):
        lengths.extend(map(len, completion_ids))
        return [float(grade(text, g).correct) for text, g in zip(completions, gold, strict=True)]

    device = choose_device(options.device)
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=QUESTIONS * GROUP // UPDATES,
        gradient_accumulation_steps=1,
        steps_per_generation=UPDATES,
        num_generations=GROUP,
        max_completion_length=LENGTH,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.28,
        loss_type="dapo",
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        max_steps=10**6,
        bf16=device.type == "cuda",
        use_cpu=device.type == "cpu",
        gradient_checkpointing=False,
        logging_steps=UPDATES,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=1,
    )
    clock = {"began": None}

    class TakeTurns(TrainerCallback):
        def on_step_end(self, _, state, *__, **___):
            done = state.global_step // UPDATES
            if state.global_step % UPDATES or (done - 1) % options.steps:
                return
            if clock["began"] is None:
                answer()
            else:
                seconds = (time.perf_counter() - clock["began"]) / options.steps
                memory = peak_memory(device)
                answer(seconds=seconds, length=statistics.fmean(lengths), memory=memory)
            lengths.clear()
            clock["began"] = time.perf_counter()

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer = GRPOTrainer(
        model=folder,
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_dict(rows),
        processing_class=AutoTokenizer.from_pretrained(folder, padding_side="left"),
        callbacks=[TakeTurns()],
    )
    trainer.train()


def listen(worker) -> dict:
    """A worker's next measurement."""
    for line in worker.stdout:
        if line.startswith("BENCH "):
            return json.loads(line.removeprefix("BENCH "))
    sys.exit(f"a worker stopped: {' '.join(worker.args)}; run it by hand to see why")


def main() -> None:
    options = parse()
    if options.worker:
        return {"ours": ours, "trl": trl}[options.worker](options)
    sides = ["ours"]
    if importlib.util.find_spec("trl"):
        sides.append("trl")
    else:
        print("trl is not installed, so only this project is measured (pip install trl)")
    command = [sys.executable, __file__, "--steps", str(options.steps), "--device", options.device]
    workers = {
        side: subprocess.Popen(
            [*command, "--worker", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for side in sides
    }
    for worker in workers.values():
        listen(worker)
    turns = {side: [] for side in sides}
    for turn in range(options.turns):
        for side in sides if turn % 2 == 0 else reversed(sides):
            workers[side].stdin.write("go\n")
            workers[side].stdin.flush()
            turns[side].append(listen(workers[side]))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()

    versions = [f"{n} {importlib.metadata.version(n)}" for n in ("torch", "transformers")]
    if "trl" in sides:
        versions.append(f"trl {importlib.metadata.version('trl')}")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {', '.join(versions)}"
    )
    print(f"{QUESTIONS} questions x {GROUP} rollouts, {UPDATES} updates; {options.turns} turns of")
    print(f"{options.steps} steps each; seconds a step, median over turns [lowest, highest]\n")
    print(f"{'':6}{'seconds a step':>24}{'tokens a rollout':>18}{'peak memory':>14}")
    for side, measured in turns.items():
        seconds = [turn["seconds"] for turn in measured]
        spread = f"{statistics.median(seconds):.3f} [{min(seconds):.3f}, {max(seconds):.3f}]"
        length = statistics.fmean(turn["length"] for turn in measured)
        memory = max(turn["memory"] for turn in measured)
        print(f"{side:6}{spread:>24}{length:>18.1f}{memory:>10.2f} GiB")
    phases = {
        name: statistics.median(turn[name] for turn in turns["ours"])
        for name in ("sample", "score", "update")
    }
    print("\nours: " + ", ".join(f"{name} {value:.3f} s" for name, value in phases.items()))
    if "trl" in sides:
        pairs = zip(turns["ours"], turns["trl"], strict=True)
        ratios = [a["seconds"] / b["seconds"] for a, b in pairs]
        print(f"ours / trl: {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")


if __name__ == "__main__":
    main()
