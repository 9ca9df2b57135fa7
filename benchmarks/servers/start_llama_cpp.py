"""llama.cpp's own server, from a wheel, for those who have no `llama-server` at hand.

    pip install xllamacpp
    python benchmarks/servers/start_llama_cpp.py model.gguf --alias my-model --port 8080

Needs nothing but `xllamacpp`, best in an environment of its own. Listens on 127.0.0.1 and ends
with Ctrl-C, or, with `--until-eof`, when its standard input closes, as it does with the parent.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import xllamacpp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a GGUF file")
    parser.add_argument("--alias", default="model", help="what clients call it")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--slots", type=int, default=2, help="requests computed at once")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=4096, help="tokens a slot")
    parser.add_argument("--until-eof", action="store_true")
    options = parser.parse_args()

    settings = xllamacpp.CommonParams()
    settings.model.path = str(options.model)
    settings.model_alias = {options.alias}
    settings.hostnames = ["127.0.0.1"]
    settings.port = options.port
    settings.n_parallel = options.slots
    settings.n_ctx = options.context * options.slots
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = options.threads
    server = xllamacpp.Server(settings)
    print(f"{server.listening_address}/v1", flush=True)
    if options.until_eof:
        sys.stdin.read()
    else:
        signal.pause()


if __name__ == "__main__":
    main()
