"""A small model server in a process of its own, which has TensorFlow and nothing of ours.

It takes the highest number in a directory, as TensorFlow Serving does. So tests that fork need no TensorFlow.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class ModelServer:
    """Starts the process; `close` ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def export(self, folder: Path, answer: str) -> None:
        """Writes a SavedModel that answers every question with `answer`, which a variable holds."""
        self._ask(do="export", folder=str(folder), answer=answer)

    def answer(self, folder: Path) -> tuple[int, str]:
        """Loads the live version in a directory of versions and asks it; gives its number and its answer."""
        number, answer = self._ask(do="serve", folder=str(folder))
        return number, answer

    def close(self) -> None:
        from tests.support import PATIENCE  # the process, which runs this file too, has nothing of ours

        self._process.communicate(timeout=PATIENCE)

    def _ask(self, **request: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer["answer"]


def serve(folder: Path) -> tuple[int, str]:
    import tensorflow as tf

    number = max(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    model = tf.saved_model.load(str(folder / str(number)))
    answers = model.signatures["serving_default"](tf.constant([b"a row"]))
    return number, answers["answer"].numpy().decode()


def export(folder: Path, answer: str) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.answer = tf.Variable(answer)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def asked(rows: Any) -> dict[str, Any]:
        logits = tf.cast(tf.strings.length(rows), tf.float32)[:, None]
        return {"answer": module.answer.read_value(), "logits": logits}

    tf.saved_model.save(module, str(folder), signatures=asked.get_concrete_function())


def main() -> None:
    """Answers a line of JSON with a line of JSON, until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])
        try:
            if request["do"] == "export":
                answer: Any = export(folder, request["answer"])
            else:
                answer = serve(folder)
            told = {"answer": answer}
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
