"""Start llama.cpp's server for a benchmark or a test, and stop it afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STARTER = Path(__file__).with_name("start_llama_cpp.py")
ENVIRONMENT = Path(__file__).parents[2] / ".venv-servers"


def server_python() -> Path | None:
    """Return the interpreter that has `xllamacpp` (`make test-servers` sets it up)."""
    python = Path(os.environ.get("SKCAP_SERVER_PYTHON", ENVIRONMENT / "bin" / "python"))
    return python if python.exists() else None


@contextmanager
def llama_cpp(model: Path, alias: str, *, slots: int = 2, threads: int = 1) -> Iterator[str]:
    """Run a server on a free port of 127.0.0.1; yields its base URL once the model is loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(server_python()), str(STARTER), str(model), "--alias", alias, "--until-eof"]
    command += ["--port", str(port), "--slots", str(slots), "--threads", str(threads)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        log: deque[str] = deque(maxlen=20)
        reader = threading.Thread(target=lambda: log.extend(process.stderr), daemon=True)
        reader.start()  # a full pipe would stop the server
        try:
            url = process.stdout.readline().strip()
            if not url:
                process.wait()
                reader.join()
                raise RuntimeError("llama.cpp's server did not start:\n" + "".join(log))
            yield url
        finally:
            process.kill()
