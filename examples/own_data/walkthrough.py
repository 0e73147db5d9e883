# %% [markdown]
# # Bring your own data
#
# This walk-through takes a CSV file to a released model that answers questions. It needs about a minute.
# Run it as a script, `python examples/own_data/walkthrough.py`, or open `walkthrough.ipynb`, which holds
# the same cells. Everything is written to the folder `own_data` where you start it.

# %%
import csv
import itertools
import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path("own_data")


def maskline(*arguments: str) -> None:
    """Runs a command, and shows it and what it prints."""
    print("$ maskline", shlex.join(arguments))
    command = [sys.executable, "-m", "maskline.pipeline.cli", *arguments]
    # A notebook's kernel asks programs for colors, which are no help in captured text.
    plain = {key: value for key, value in os.environ.items() if "COLOR" not in key}
    done = subprocess.run(command, capture_output=True, text=True, env=plain)
    print(done.stdout + done.stderr)
    done.check_returncode()


# %% [markdown]
# ## The data
#
# The rows are messages to a help desk, each with the team that should answer it. Replace this cell by your
# own file: any CSV or JSON Lines file with one example per row will do. If your data already are TFRecord
# shards of `tf.train.Example`s with int64 lists, you can skip the import and describe them in the settings.

# %%
PROBLEMS = {
    "billing": ["the invoice is wrong", "I paid twice", "my card was refused", "I want a refund"],
    "network": ["the page does not load", "the connection drops", "uploads are slow", "I see a timeout"],
    "account": ["I forgot my password", "my login fails", "I cannot sign in", "my name is wrong"],
}
OPENINGS = ["", "hello", "good morning", "please help", "once more"]
ENDINGS = ["", "since monday", "since the update", "on my phone", "at work", "for all of us", "again"]

HERE.mkdir(exist_ok=True)
rows = [
    (" ".join(filter(None, [opening, problem, ending])), team)
    for team, problems in PROBLEMS.items()
    for opening, problem, ending in itertools.product(OPENINGS, problems, ENDINGS)
]
random.Random(0).shuffle(rows)
with open(HERE / "tickets.csv", "w", newline="") as file:
    csv.writer(file).writerows([("message", "team"), *rows])
print(len(rows), "rows, for example", rows[0])

# %% [markdown]
# ## Import it
#
# `maskline import` writes TFRecord shards, the vocabulary, and the settings of a first run. `--text` names
# the columns that the model reads, `--label` the one that it predicts.

# %%
if not (HERE / "imported").exists():
    columns = ["--text", "message", "--label", "team"]
    maskline("import", f"{HERE}/tickets.csv", "--out", f"{HERE}/imported", *columns)
print((HERE / "imported/maskline.yaml").read_text())

# %% [markdown]
# ## Look at it
#
# How long are the rows, which symbols do they use, and how much padding does `sequence.length` cost?

# %%
maskline("data", "stats", f"{HERE}/imported/shards", "--config", f"{HERE}/imported/maskline.yaml")

# %% [markdown]
# ## Train, evaluate, release
#
# The run checks the data, trains, evaluates on the rows that it held out, questions the exported model, and
# releases it if every gate passes. A second call with the same data and settings reports that nothing has
# changed.

# %%
RUN = ["--config", f"{HERE}/imported/maskline.yaml", "--root", f"{HERE}/root"]
maskline("run", *RUN, "--set", "training.epochs=8")

# %% [markdown]
# ## Ask it
#
# `predict` asks the live model, as a server would. The message below is not among the rows.

# %%
maskline("predict", *RUN, "hello again my card was refused at work")

# %% [markdown]
# ## What next
#
# - `maskline show` lists what every gate checked, and `maskline models` what was released.
# - `maskline.yaml` in the repository holds every setting; put yours into `imported/maskline.yaml`.
# - New data every day: `docs/data.md`. Your own slices and thresholds: `docs/release-gate.md`.
# - To start over, remove the folder `own_data`.
