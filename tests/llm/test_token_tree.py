import numpy as np
import pytest

from skcap.llm.prompt_encoding import EncodedPrompt
from skcap.llm.token_tree import common_prefix_length, grow_trees, put_in_rows


def random_prompts(seed, n_prompts=40, n_symbols=3, shared=()):
    rng = np.random.default_rng(seed)
    prompts = []
    for _ in range(n_prompts):
        ids = (*shared, *rng.integers(0, n_symbols, rng.integers(2, 9)).tolist())
        prompts.append(EncodedPrompt(ids, int(rng.integers(len(shared) + 1, len(ids)))))
    return prompts


def path_to(tree, node):
    """Nodes from the top of a tree to a node: those that it is below, and itself."""
    return [at for at in range(node + 1) if node < tree.ends[at]]


@pytest.mark.parametrize("max_nodes", [1, 7, 10_000])
@pytest.mark.parametrize("shared", [(), (5, 6, 7)])
def test_every_target_is_predicted_from_its_own_context(shared, max_nodes):
    for seed in range(20):
        prompts = random_prompts(seed, shared=shared)
        predicted = {}
        for tree in grow_trees(prompts, len(shared), max_nodes):
            for row, source, target in zip(tree.prompts, tree.sources, tree.targets, strict=True):
                context = (*shared, *tree.tokens[path_to(tree, source)].tolist())
                predicted.setdefault(int(row), set()).add((context, int(target)))
        assert predicted == {
            row: {(ids[:at], ids[at]) for at in range(n_context, len(ids))}
            for row, (ids, n_context) in enumerate(prompts)
        }


def test_one_tree_holds_each_distinct_beginning_once():
    for seed in range(20):
        prompts = random_prompts(seed)
        (tree,) = grow_trees(prompts, 0, 10_000)
        distinct = {prompt.ids[:end] for prompt in prompts for end in range(1, len(prompt.ids))}
        assert len(tree.tokens) == len(distinct)


def test_a_path_goes_down_by_one_step_at_a_time():
    (tree,) = grow_trees(random_prompts(1), 0, 10_000)
    for node in range(len(tree.tokens)):
        path = path_to(tree, node)
        assert path[-1] == node
        assert tree.depths[path].tolist() == list(range(len(path)))


def test_a_tree_keeps_to_its_size_unless_one_prompt_is_larger():
    prompts = random_prompts(2, n_prompts=100, n_symbols=20)
    sizes = [len(tree.tokens) for tree in grow_trees(prompts, 0, 7)]
    assert len(sizes) > 5
    assert max(sizes) <= 7
    long = [EncodedPrompt(tuple(range(50)), 40), EncodedPrompt((1, 2), 1)]
    assert sorted(len(tree.tokens) for tree in grow_trees(long, 0, 7)) == [1, 49]


def test_equal_prompts_cost_nothing_but_a_target():
    (tree,) = grow_trees([EncodedPrompt((1, 2, 3, 4), 3)] * 5, 2, 1)
    assert tree.tokens.tolist() == [3]
    assert sorted(tree.prompts) == [0, 1, 2, 3, 4]


def seen_by(rows, row, column):
    """Columns that a node of a row of trees attends to, from the top down."""
    place, places, ends = rows.places[row, column], rows.places[row], rows.ends[row]
    columns = np.flatnonzero((places <= place) & (place < ends))
    return columns[np.argsort(places[columns])]


@pytest.mark.parametrize("max_nodes", [1, 7, 10_000])
def test_rows_hold_what_their_trees_hold(max_nodes):
    for seed in range(20):
        prompts = random_prompts(seed)
        rows = put_in_rows(list(grow_trees(prompts, 0, max_nodes)))
        n_nodes = rows.tokens.shape[1]
        predicted = {}
        for prompt, source, target in zip(rows.prompts, rows.sources, rows.targets, strict=True):
            row, kept = divmod(int(source), rows.n_kept)
            path = seen_by(rows, row, n_nodes - rows.n_kept + kept)
            assert rows.depths[row, path].tolist() == list(range(len(path)))
            context = tuple(rows.tokens[row, path].tolist())
            predicted.setdefault(int(prompt), set()).add((context, int(target)))
        assert predicted == {
            row: {(ids[:at], ids[at]) for at in range(n_context, len(ids))}
            for row, (ids, n_context) in enumerate(prompts)
        }


def test_no_node_attends_to_padding():
    sizes = [EncodedPrompt(tuple(range(n)), n - 1) for n in (3, 9, 5)]
    rows = put_in_rows([tree for size in sizes for tree in grow_trees([size], 0, 10_000)])
    is_padding = rows.places < 0
    assert is_padding.sum(axis=1).tolist() == [6, 0, 4]
    assert all(
        not is_padding[row, seen_by(rows, row, column)].any()
        for row, column in np.argwhere(~is_padding)
    )


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [((), (), 0), ((1,), (), 0), ((1, 2), (1, 2, 3), 2), ((1, 2), (1, 3), 1), ((1,), (2,), 0)],
)
def test_common_prefix_length(first, second, length):
    assert common_prefix_length(first, second) == common_prefix_length(second, first) == length
