import ast
import copy
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

import skcap.utils.cache
from skcap.utils.cache import PriorCache, resolve_cache
from skcap.utils.cache_store import use_store
from skcap.utils.cached_work import compute_cached, compute_groups

KEYS = [PriorCache.key({"text": f"text {i}"}) for i in range(30)]

# Computes the 30 entries with a slow function that logs each computation.
WORKER = """
    import os, sys, time
    from skcap.utils.cache import PriorCache
    from skcap.utils.cached_work import compute_cached
    folder, log, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])

    def slow(i):
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{i}\\n".encode())
        os.close(file)
        time.sleep(seconds)
        return [i, i * 0.5]

    keys = [PriorCache.key({"text": f"text {i}"}) for i in range(30)]
    results = dict(compute_cached(PriorCache(folder), keys, slow))
    assert all(results[i].tolist() == [i, i * 0.5] for i in range(30)), results
"""

# Holds a claim until its standard input closes.
HOLDER = """
    import sys
    from skcap.utils.cache import PriorCache
    with PriorCache(sys.argv[1]).claim(sys.argv[2], blocking=True):
        print("held", flush=True)
        sys.stdin.read()
"""


def start(script, *arguments):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return out


def logged(log):
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def rewrite(cache, key, change):
    """Replace the stored bytes of an entry."""
    name = bytes.fromhex(key)
    use_store(cache.path, lambda store: store.put(name, change(store.get(name))))


@pytest.fixture
def cache(tmp_path):
    return PriorCache(tmp_path / "cache")


class TestEntries:
    @pytest.mark.parametrize("values", [[], [1.5], [0.1, np.nan, -0.0, np.inf], np.arange(1000)])
    def test_round_trip_is_exact(self, cache, values):
        cache.set(KEYS[0], values)
        got = PriorCache(cache.path).get(KEYS[0])
        assert got.dtype == np.float64
        assert got.flags.writeable
        assert got.tobytes() == np.asarray(values, dtype=np.float64).tobytes()

    def test_absent_is_none_and_the_last_set_wins(self, cache):
        assert cache.get(KEYS[0]) is None
        cache.set(KEYS[0], [1.0])
        cache.set(KEYS[0], [2.0])
        assert cache.get(KEYS[0]).tolist() == [2.0]
        assert cache.get(KEYS[1]) is None

    def test_len_size_clear(self, cache):
        assert (len(cache), cache.size, bool(cache)) == (0, 0, True)
        for key in KEYS[:3]:
            cache.set(key, np.zeros(1000))
        assert len(cache) == 3
        assert cache.size >= 3 * 8000
        cache.clear()
        assert (len(cache), cache.size, cache.get(KEYS[0])) == (0, 0, None)

    def test_only_one_dimension(self, cache):
        with pytest.raises(ValueError, match=r"one-dimensional, got shape \(1, 2\)"):
            cache.set(KEYS[0], [[1.0, 2.0]])

    @pytest.mark.parametrize("key", ["", "ab", "z" * 64, "a " * 32, b"a" * 64])
    def test_foreign_keys_are_refused(self, cache, key):
        with pytest.raises(ValueError, match="key"):
            cache.get(key)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda entry: entry[:20] + bytes([entry[20] ^ 1]) + entry[21:],
            lambda entry: entry[:-1],
            lambda entry: b"",
            lambda entry: entry + entry,
        ],
        ids=["flipped bit", "cut", "empty", "doubled"],
    )
    def test_damaged_entries_are_missing_with_one_warning(self, cache, damage):
        for key in KEYS[:3]:
            cache.set(key, [1.0, 2.0])
        for key in KEYS[:2]:
            rewrite(cache, key, damage)
        with pytest.warns(RuntimeWarning, match="damaged entry") as told:
            assert [cache.get(key) for key in KEYS[:2]] == [None, None]
        assert len(told) == 1
        assert cache.get(KEYS[2]).tolist() == [1.0, 2.0]
        assert dict(compute_cached(cache, KEYS[:1], lambda i: [7.0]))[0].tolist() == [7.0]
        assert cache.get(KEYS[0]).tolist() == [7.0]

    def test_an_entry_under_the_wrong_key_is_damaged(self, cache):
        cache.set(KEYS[0], [1.0])
        cache.set(KEYS[1], [2.0])
        stored = {}
        rewrite(cache, KEYS[0], lambda entry: stored.setdefault("first", entry))
        rewrite(cache, KEYS[1], lambda entry: stored["first"])
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert cache.get(KEYS[1]) is None


class TestKey:
    def test_is_stable_across_releases(self):
        request = {"text": "größe 😀", "n": 3, "alpha": 0.5, "x": None, "mask": np.arange(3.0)}
        pinned = "48867c09f105a52445029e37391fca20c34eb4b9d909d25826cc3af900d342cf"
        assert PriorCache.key(request) == pinned

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
            ({"a": (1, 2)}, {"a": [1, 2]}),
            ({"a": np.float64(0.1)}, {"a": 0.1}),
            ({"a": np.int32(3)}, {"a": 3}),
            ({"a": np.bool_(True)}, {"a": True}),
            ({"a": np.str_("x")}, {"a": "x"}),
            ({"a": np.ones((2, 3)).T}, {"a": np.ones((3, 2))}),
        ],
    )
    def test_equal_requests_share_a_key(self, one, other):
        assert PriorCache.key(one) == PriorCache.key(other)

    def test_different_requests_differ(self):
        values = [
            *("a", "A", "a ", "", "1", "null", "\ud83d", "\ud83d\ude00", "\U0001f600"),
            *(1, 1.0, True, 2, 0, False, None, 0.1, 0.1 + 1e-17 + 1e-16),
            *([], {}, [1], [[1]], [1, 2], [2, 1], {"a": 1}, {"a": {"a": 1}}),
            *(np.array([1]), np.array([1.0]), np.array([[1]]), np.array([1], dtype=np.int32)),
            *(np.array([np.nan]), np.array([]), np.array(1)),
        ]
        keys = [PriorCache.key({"value": value}) for value in values]
        assert len(set(keys)) == len(values)
        assert len({PriorCache.key({name: 1}) for name in ("a", "b", "a\udc00")}) == 3

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            (b"bytes", TypeError, r"request\['value'\] is bytes"),
            ({1: 2}, TypeError, "keys must be other strings"),
            ({"__ndarray__": []}, TypeError, "__ndarray__"),
            ([{3}], TypeError, r"request\['value'\]\[0\] is set"),
            (np.array(["x"], dtype=object), TypeError, "ndarray"),
            (float("nan"), ValueError, "finite"),
            (np.float32("inf"), ValueError, "finite"),
        ],
    )
    def test_what_has_no_stable_form_is_refused(self, value, error, message):
        with pytest.raises(error, match=message):
            PriorCache.key({"value": value})

    def test_request_must_be_a_mapping(self):
        with pytest.raises(TypeError, match="mapping"):
            PriorCache.key("text")


class TestComputeCached:
    def test_computes_what_is_missing_and_duplicates_once(self, cache):
        calls = []

        def compute(i):
            calls.append(i)
            return [float(i)]

        cache.set(KEYS[1], [-1.0])
        keys = [KEYS[0], KEYS[1], KEYS[0], KEYS[2]]
        results = dict(compute_cached(cache, keys, compute))
        assert {i: r.tolist() for i, r in results.items()} == {0: [0], 1: [-1], 2: [0], 3: [3]}
        assert calls == [0, 3]
        results[0][0] = 9.0
        assert results[2].tolist() == [0.0]
        list(compute_cached(cache, keys, compute))
        assert calls == [0, 3]

    def test_without_a_cache(self):
        calls = []
        keys = ["a", "b", "a"]
        for _ in range(2):
            results = dict(compute_cached(None, keys, lambda i: calls.append(i) or [i]))
        assert calls == [0, 1, 0, 1]
        assert sorted(results) == [0, 1, 2]
        assert results[2].dtype == np.float64

    def test_each_is_stored_at_once_and_no_claim_is_held_meanwhile(self, cache):
        one = compute_cached(cache, KEYS[:2], lambda i: [1.0])
        other = compute_cached(cache, KEYS[:2], lambda i: [2.0])
        assert next(one)[1].tolist() == [1.0]
        assert dict(other)[1].tolist() == [2.0]
        assert next(one)[1].tolist() == [2.0]

    def test_an_error_leaves_the_done_and_the_claim_free(self, cache):
        def compute(i):
            if i == 1:
                raise KeyError("model failed")
            return [0.0]

        with pytest.raises(KeyError, match="model failed"):
            list(compute_cached(cache, KEYS[:3], compute))
        assert len(cache) == 1
        assert len(dict(compute_cached(cache, KEYS[:3], lambda i: [1.0]))) == 3

    def test_work_may_use_the_cache_itself(self, cache):
        def compute(i):
            inner = compute_cached(cache, KEYS[2:4], lambda j: [float(j)])
            return [10.0 + sum(values[0] for _, values in inner)]

        assert dict(compute_cached(cache, KEYS[:2], compute)) == {0: [11.0], 1: [11.0]}
        assert len(cache) == 4

    def test_a_busy_key_is_put_off_and_not_computed_twice(self, cache):
        holding, go_on = threading.Event(), threading.Event()

        def other():
            with cache.claim(KEYS[0], blocking=True):
                holding.set()
                go_on.wait(10)
                cache.set(KEYS[0], [5.0])

        thread = threading.Thread(target=other)
        thread.start()
        assert holding.wait(10)
        results = compute_cached(cache, KEYS[:2], lambda i: [float(i)])
        assert next(results)[0] == 1
        go_on.set()
        index, values = next(results)
        thread.join()
        assert (index, values.tolist()) == (0, [5.0])

    def test_two_processes_compute_each_entry_once(self, tmp_path):
        log = tmp_path / "log"
        workers = [start(WORKER, tmp_path / "cache", log, 0.02) for _ in range(2)]
        for worker in workers:
            finish(worker)
        assert sorted(logged(log)) == list(range(30))

    def test_a_killed_process_loses_at_most_the_entry_in_flight(self, tmp_path):
        log = tmp_path / "log"
        worker = start(WORKER, tmp_path / "cache", log, 0.05)
        deadline = time.monotonic() + 30
        while len(logged(log)) < 10:
            assert time.monotonic() < deadline
            assert worker.poll() is None, worker.stderr.read()
            time.sleep(0.01)
        worker.kill()
        worker.communicate()
        begun = logged(log)
        assert 10 <= len(begun) < 30
        computed = []
        list(
            compute_cached(
                PriorCache(tmp_path / "cache"), KEYS, lambda i: computed.append(i) or [i, i * 0.5]
            )
        )
        assert set(computed) | set(begun) == set(range(30))
        assert set(computed) & set(begun) <= {begun[-1]}
        assert len(PriorCache(tmp_path / "cache")) == 30


class TestComputeGroups:
    def test_computes_each_group_in_one_call_less_what_is_there(self, cache):
        calls = []

        def compute(places):
            calls.append(places)
            return [[float(place)] for place in places]

        cache.set(KEYS[1], [-1.0])
        keys = [*KEYS[:4], KEYS[0]]
        results = dict(compute_groups(cache, keys, compute, [[0, 1, 2], [3, 4]]))
        assert calls == [[0, 2], [3]]
        assert {i: r[0] for i, r in results.items()} == {0: 0, 1: -1, 2: 2, 3: 3, 4: 0}
        assert len(cache) == 4
        list(compute_groups(cache, keys, compute, [[0, 1, 2, 3, 4]]))
        assert len(calls) == 2

    def test_one_that_cannot_be_computed_costs_no_other(self, cache):
        def compute(places):
            if 1 in places:
                raise ValueError("bad text")
            return [[0.0] for _ in places]

        with pytest.raises(ValueError, match="bad text"):
            list(compute_groups(cache, KEYS[:3], compute, [[1, 2, 0]]))
        assert cache.get(KEYS[0]) is not None
        assert cache.get(KEYS[2]) is not None
        with cache.claim(KEYS[1], blocking=False) as claimed:
            assert claimed

    def test_busy_ones_are_put_off_and_not_computed_twice(self, cache):
        holding, go_on = threading.Event(), threading.Event()

        def other():
            with cache.claim_free(KEYS[:2]) as claimed:
                assert claimed == KEYS[:2]
                holding.set()
                go_on.wait(10)
                cache.set(KEYS[0], [5.0])

        thread = threading.Thread(target=other)
        thread.start()
        assert holding.wait(10)
        calls = []
        results = compute_groups(
            cache,
            KEYS[:4],
            lambda places: calls.append(places) or [[1.0]] * len(places),
            [[*range(4)]],
        )
        assert [next(results)[0] for _ in range(2)] == [2, 3]
        go_on.set()
        assert {place: values[0] for place, values in results} == {0: 5.0, 1: 1.0}
        thread.join()
        assert calls == [[2, 3], [1]]

    def test_keys_of_one_lock_file_are_claimed_together(self, cache):
        one, same = KEYS[0], KEYS[0][:2] + "0" * 62
        with cache.claim_free([one, same]) as claimed:
            assert claimed == [one, same]
        with cache.claim(one, blocking=False) as claimed:
            assert claimed


class TestClaim:
    def test_is_refused_while_another_process_holds_it_and_ends_when_that_is_killed(self, cache):
        holder = start(HOLDER, cache.path, KEYS[0])
        assert holder.stdout.readline() == "held\n"
        with cache.claim(KEYS[0], blocking=False) as claimed:
            assert claimed is False
        holder.kill()
        holder.communicate()
        with cache.claim(KEYS[0], blocking=False) as claimed:
            assert claimed is True

    def test_threads_exclude_each_other_also_over_keys_of_one_lock_file(self, cache):
        neighbour = KEYS[0][:2] + KEYS[1][2:]
        seen = []

        def other():
            for key in (KEYS[0], neighbour):
                with cache.claim(key, blocking=False) as claimed:
                    seen.append(claimed)

        with cache.claim(KEYS[0], blocking=True):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert seen == [False, False]
        other()
        assert seen[2:] == [True, True]

    def test_a_second_claim_of_a_thread_is_refused(self, cache):
        with cache.claim(KEYS[0], blocking=True):
            for key in KEYS[:2]:
                with (
                    pytest.raises(RuntimeError, match="already holds a claim"),
                    cache.claim(key, blocking=False),
                ):
                    pass
        with cache.claim(KEYS[1], blocking=False) as claimed:
            assert claimed


class TestStore:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_forks_while_threads_write(self, tmp_path):
        script = """
            import os, sys, threading, warnings
            warnings.filterwarnings("ignore", "This process", DeprecationWarning)
            from skcap.utils.cache import PriorCache
            cache = PriorCache(sys.argv[1])
            stop = threading.Event()

            def write():
                while not stop.is_set():
                    cache.set(PriorCache.key({"parent": 0}), [1.0])

            threads = [threading.Thread(target=write) for _ in range(2)]
            for thread in threads:
                thread.start()
            codes = []
            for i in range(10):
                key = PriorCache.key({"child": i})
                child = os.fork()
                if child == 0:
                    cache.set(key, [float(i)])
                    with cache.claim(key, blocking=False) as claimed:
                        os._exit(0 if claimed and cache.get(key).tolist() == [i] else 1)
                codes.append(os.waitpid(child, 0)[1])
            stop.set()
            for thread in threads:
                thread.join()
            print(codes == [0] * 10, len(cache))
        """
        assert finish(start(script, tmp_path)) == "True 11\n"

    def test_a_deleted_folder_is_made_anew(self, cache):
        cache.set(KEYS[0], [1.0])
        shutil.rmtree(cache.path)
        assert cache.get(KEYS[0]) is None
        cache.set(KEYS[1], [2.0])
        read = """
            import sys
            from skcap.utils.cache import PriorCache
            print(PriorCache(sys.argv[1]).get(sys.argv[2]))
        """
        assert finish(start(read, cache.path, KEYS[1])) == "[2.]\n"

    def test_one_folder_by_two_paths(self, cache, tmp_path):
        cache.set(KEYS[0], [1.0])
        (tmp_path / "link").symlink_to(cache.path)
        other = PriorCache(tmp_path / "link")
        assert other.get(KEYS[0]).tolist() == [1.0]

    def test_an_unusable_folder_names_the_remedy(self, tmp_path):
        (tmp_path / "file").write_text("")
        cache = PriorCache(tmp_path / "file" / "cache")
        calls = []
        with pytest.raises(OSError, match=r"cache: the folder .*file.*cache=False"):
            list(compute_cached(cache, KEYS, calls.append))
        assert calls == []
        with (
            pytest.raises(OSError, match="cache=False"),
            cache.claim(KEYS[0], blocking=False),
        ):
            pass

    @pytest.mark.parametrize("module", [skcap.utils.cache, skcap.utils.cache_store])
    def test_no_pickle_in_the_modules(self, module):
        tree = ast.parse(Path(module.__file__).read_text())
        imports = [
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        ]
        assert "numpy" in imports
        assert not {"pickle", "joblib", "shelve", "marshal", "dill"} & set(imports)


class Holder(BaseEstimator):
    def __init__(self, cache=None):
        self.cache = cache


class TestObject:
    def test_copies_and_hashes_by_path_alone(self, cache, tmp_path):
        before = joblib.hash(cache)
        cache.set(KEYS[0], [1.0])
        copies = [
            pickle.loads(pickle.dumps(cache)),
            copy.deepcopy(cache),
            clone(Holder(cache)).cache,
            PriorCache(str(cache.path)),
        ]
        for other in copies:
            assert other == cache
            assert hash(other) == hash(cache)
            assert joblib.hash(other) == before
            assert other.get(KEYS[0]).tolist() == [1.0]
        assert cache != PriorCache(tmp_path / "other")
        assert cache != cache.path
        assert joblib.hash(PriorCache(tmp_path / "other")) != before
        assert repr(cache) == f"PriorCache({str(cache.path)!r})"

    def test_paths_are_resolved_when_given(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
        assert PriorCache("a").path == tmp_path / "a"
        assert PriorCache("~/a").path == tmp_path / "home" / "a"
        assert list(tmp_path.iterdir()) == []


class TestResolveCache:
    def test_allowed_values(self, cache, tmp_path, monkeypatch):
        assert resolve_cache(False) is None
        assert resolve_cache(cache) is cache
        assert resolve_cache(str(cache.path)) == resolve_cache(cache.path) == cache
        monkeypatch.setenv("SKCAP_CACHE", str(tmp_path / "base"))
        assert resolve_cache(None) == PriorCache(tmp_path / "base" / "priors")

    def test_the_default_is_in_the_users_cache(self, tmp_path, monkeypatch):
        monkeypatch.delenv("SKCAP_CACHE", raising=False)
        users = tmp_path / "user"
        monkeypatch.setattr("skcap.utils.cache.user_cache_path", lambda name: users / name)
        assert resolve_cache(None) == PriorCache(users / "skcap" / "priors")

    def test_a_default_that_cannot_be_used_is_no_cache(self, tmp_path, monkeypatch):
        monkeypatch.delenv("SKCAP_CACHE", raising=False)
        (tmp_path / "file").touch()
        monkeypatch.setattr("skcap.utils.cache.user_cache_path", lambda name: tmp_path / "file")
        with pytest.warns(
            RuntimeWarning, match=r"cannot be used, so priors are not kept\. \(.*Not a directory"
        ):
            assert resolve_cache(None) is None

    @pytest.mark.parametrize("value", [True, 0, 1, {}, b"x"])
    def test_other_values_are_refused(self, value):
        with pytest.raises(TypeError, match=r"cache must be None .* or False \(no cache\), got"):
            resolve_cache(value)
