"""A language model behind HTTP on 127.0.0.1, well-behaved or not, for the tests of ServerLLM."""

import hashlib
import http.server
import json
import math
import re
import threading
import time

import pytest

TOKEN = re.compile(r"<\|\w+\|>|\s?\w{1,6}|\s|.", re.DOTALL)


def tokenize(text):
    return TOKEN.findall(text)


def log_probability(tokens, place):
    """Log-probability of a token after those before it: any number, but the same each time."""
    digest = hashlib.sha256("\0".join(tokens[: place + 1]).encode()).digest()
    return -0.01 - int.from_bytes(digest[:2], "big") / 8192


def label_score(prompt, label):
    """What ServerLLM must find: all tokens that reach past the end of the prompt."""
    tokens = tokenize(prompt + label)
    ends = [len("".join(tokens[: n + 1])) for n in range(len(tokens))]
    return math.fsum(log_probability(tokens, n) for n, end in enumerate(ends) if end > len(prompt))


def echo(server, body):
    tokens = tokenize(body["prompt"])
    values = [log_probability(tokens, n) for n in range(len(tokens))]
    drawn = [" well", log_probability([*tokens, " well"], len(tokens))]
    if not body.get("echo"):
        return completion(drawn[0], [drawn[0]], [drawn[1]])
    return completion(body["prompt"] + drawn[0], [*tokens, drawn[0]], [None, *values[1:], drawn[1]])


def completion(text, tokens, values):
    logprobs = {"tokens": tokens, "token_logprobs": values}
    choice = {"index": 0, "text": text, "logprobs": logprobs}
    return {"choices": [choice], "usage": {"completion_tokens": 1}}


def prompt_logprobs(server, body):
    if body.get("echo"):
        return {"error": "echo is not known"}, 400
    reply = echo(server, {**body, "echo": False})
    if "prompt_logprobs" in body:
        tokens = tokenize(body["prompt"])
        reply["choices"][0]["prompt_logprobs"] = [
            {str(n): {"logprob": log_probability(tokens, n), "decoded_token": token}} if n else None
            for n, token in enumerate(tokens)
        ]
    return reply


class LlamaCpp:
    """llama.cpp's own endpoints; token ids are handed out as tokens are met."""

    def __init__(self):
        self.vocabulary = []

    def __call__(self, server, body):
        return echo(server, {**body, "echo": False})  # ignores echo, as llama.cpp's server may

    def encode(self, server, body):
        pieces = [part for token in tokenize(body["content"]) for part in self.split(token)]
        for piece in pieces:
            if piece not in self.vocabulary:
                self.vocabulary.append(piece)
        return {"tokens": [{"id": self.vocabulary.index(p), "piece": p} for p in pieces]}

    def split(self, token):
        """Cut what is not ASCII into its bytes."""
        return [token] if token.isascii() else [[byte] for byte in token.encode()]

    def complete(self, server, body):
        ((wanted, bias),) = body["logit_bias"]
        names = [str(self.vocabulary[n]) for n in body["prompt"]]
        if bias < 100 or not isinstance(self.vocabulary[wanted], str):
            return {"content": "\ufffd"}
        shown = [
            {"id": n, "logprob": log_probability([*names, str(piece)], len(names))}
            for n, piece in enumerate(self.vocabulary)
        ]
        return {
            "tokens_evaluated": len(names),
            "completion_probabilities": [
                {**shown[wanted], "top_logprobs": shown[-body["n_probs"] :]}
            ],
        }


class LanguageServer:
    """Answers as `model` says, but for the faults that are put into `faults`, each used up once.

    A fault is a function of the handler that sends something of its own, or None.
    """

    def __init__(self, model=echo):
        self.model = model
        self.faults = []
        self.requests = []
        self.in_flight = self.most_in_flight = 0
        self.models = {"data": [{"id": "tiny", "max_model_len": 512}]}
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"server_of_test": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, path, body):
        if path == "/v1/models":
            return self.models if self.models is not None else ({"error": "no such page"}, 404)
        if path == "/v1/completions":
            return self.model(self, body)
        if path == "/tokenize" and isinstance(self.model, LlamaCpp):
            return self.model.encode(self, body)
        if path == "/tokenize" and "prompt" in body:
            return {"count": len(tokenize(body["prompt"]))}
        if path == "/completion" and isinstance(self.model, LlamaCpp):
            return self.model.complete(self, body)
        return {"error": "no such page"}, 404

    def close(self):
        self.stopped.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply({})

    def do_POST(self):
        self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def reply(self, body):
        server = self.server_of_test
        with server.lock:
            server.requests.append((self.path, dict(self.headers), body))
            server.in_flight += 1
            server.most_in_flight = max(server.in_flight, server.most_in_flight)
            asks = self.path != "/v1/models"
            fault = server.faults.pop(0) if asks and server.faults else None
            answer = None if fault else server.answer(self.path, body)
        try:
            if fault:
                fault(self)
            else:
                content, status = answer if isinstance(answer, tuple) else (answer, 200)
                send(self, json.dumps(content).encode(), status)
        except OSError:
            pass  # the client went away
        finally:
            with server.lock:
                server.in_flight -= 1

    def log_message(self, *arguments):
        pass


def send(handler, content, status=200, **headers):
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def saying(content, status=200, **headers):
    """A fault: send this instead."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda handler: send(handler, content, status, **headers)


def drip(handler):
    """A fault: a reply that never stalls and never ends."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server_of_test.stopped.is_set():
        handler.wfile.write(b" ")
        time.sleep(0.02)


def drip_headers(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server_of_test.stopped.is_set():
        handler.wfile.write(b"x")
        time.sleep(0.02)


def hang(handler):
    handler.server_of_test.stopped.wait(10)


def hang_up(handler):
    handler.close_connection = True
    handler.connection.close()


def cut_short(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def flood(handler):
    """A fault: more than anyone asked for."""
    handler.send_response(200)
    handler.end_headers()
    block = b" " * 2**20
    for _ in range(64):
        handler.wfile.write(block)


@pytest.fixture
def serve(monkeypatch):
    """Start servers that end with the test."""
    for package in ("httpx", "tenacity"):
        pytest.importorskip(package)
    monkeypatch.setenv("NO_PROXY", "*")
    servers = []

    def start(model=echo):
        servers.append(LanguageServer(model))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
