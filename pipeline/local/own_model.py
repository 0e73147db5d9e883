"""Builds a user's own model before a run begins, in a process of its own: Keras must not start here."""

import multiprocessing
import os
from multiprocessing.connection import Connection

from maskline.pipeline import signals
from maskline.pipeline.settings.sections import Settings
from maskline.transform import own_code
from maskline.transform.errors import InputError

_fork = multiprocessing.get_context("fork")


def check(settings: Settings) -> None:
    """Holds the model of `model.build` to the laws on made-up rows; does nothing without one.

    Raises:
      InputError: the builder or its model is refused; see `maskline.trainer.building`.
    """
    if not settings.model.build:
        return
    here, there = _fork.Pipe(duplex=False)
    process = _fork.Process(target=_rehearse, args=(settings, there), name="model.build")
    process.start()
    there.close()
    try:
        problem = here.recv()
    except EOFError:
        process.join()
        how = f"exit status {process.exitcode}"
        problem = f"model.build: {settings.model.build} ended the process that built the model ({how})"
    finally:
        process.kill()
        process.join()
        here.close()
    if problem:
        raise InputError(problem)


def _rehearse(settings: Settings, there: Connection) -> None:
    from maskline.trainer.building import rehearse

    signals.left_to_parent()
    try:
        rehearse(settings.sequence, settings.model)
    except InputError as error:
        there.send(str(error))
    except BaseException as error:  # as `SystemExit`, which a builder may raise
        there.send(f"model.build: {settings.model.build} could not be tried: {own_code.in_words(error)}")
    else:
        there.send("")
    os._exit(0)
