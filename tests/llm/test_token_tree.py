import numpy as np
import pytest

from skcap.llm.prompt_encoding import EncodedPrompt
from skcap.llm.token_tree import common_prefix_length, grow_trees


def random_prompts(seed, n_prompts=40, n_symbols=3, shared=()):
    rng = np.random.default_rng(seed)
    prompts = []
    for _ in range(n_prompts):
        ids = (*shared, *rng.integers(0, n_symbols, rng.integers(2, 9)).tolist())
        prompts.append(EncodedPrompt(ids, int(rng.integers(len(shared) + 1, len(ids)))))
    return prompts


def path_to(tree, node):
    path = []
    while node >= 0:
        path.append(int(tree.tokens[node]))
        node = int(tree.parents[node])
    return path[::-1]


@pytest.mark.parametrize("max_nodes", [1, 7, 10_000])
@pytest.mark.parametrize("shared", [(), (5, 6, 7)])
def test_every_target_is_predicted_from_its_own_context(shared, max_nodes):
    for seed in range(20):
        prompts = random_prompts(seed, shared=shared)
        predicted = {}
        for tree in grow_trees(prompts, len(shared), max_nodes):
            for row, source, target in zip(tree.prompts, tree.sources, tree.targets, strict=True):
                context = (*shared, *path_to(tree, source))
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


def test_depths_parents_and_ancestors_describe_one_tree():
    (tree,) = grow_trees(random_prompts(1), 0, 10_000)
    visible = tree.ancestors()
    for node, parent in enumerate(tree.parents):
        assert parent < node
        assert tree.depths[node] == (0 if parent < 0 else tree.depths[parent] + 1)
        above = set()
        walk = node
        while walk >= 0:
            above.add(walk)
            walk = int(tree.parents[walk])
        assert set(np.flatnonzero(visible[node])) == above
    assert visible.dtype == bool


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


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [((), (), 0), ((1,), (), 0), ((1, 2), (1, 2, 3), 2), ((1, 2), (1, 3), 1), ((1,), (2,), 0)],
)
def test_common_prefix_length(first, second, length):
    assert common_prefix_length(first, second) == common_prefix_length(second, first) == length
