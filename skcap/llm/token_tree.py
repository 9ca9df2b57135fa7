"""Prompts that share their beginnings, as a tree in which every distinct token is computed once.

The variants of a text differ by a few words. As a prefix tree, the tokens of all of them fit into
one sequence; an attention mask lets each token attend to its own ancestors only, and its position
is its depth. A causal model then computes for each node what it would compute in its own prompt.
Several trees make the rows of a batch (`TreeRows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from skcap.llm.prompt_encoding import EncodedPrompt

__all__ = ["TokenTree", "TreeRows", "common_prefix_length", "grow_trees", "put_in_rows"]


@dataclass(frozen=True)
class TokenTree:
    """The distinct tokens of some prompts beyond their common prefix.

    Attributes
    ----------
    tokens : ndarray of int64, shape (n_nodes,)
        Parents come before their children, and all below a node follow it without a gap.
    ends : ndarray of int64, shape (n_nodes,)
        One past the last node below each; a node without children ends one past itself.
    depths : ndarray of int64, shape (n_nodes,)
        Distance from the end of the common prefix, starting at 0.
    prompts : ndarray of int64, shape (n_targets,)
        The prompt that each target belongs to.
    sources : ndarray of int64, shape (n_targets,)
        The node whose output predicts the target.
    targets : ndarray of int64, shape (n_targets,)
        The predicted token.
    """

    tokens: np.ndarray
    ends: np.ndarray
    depths: np.ndarray
    prompts: np.ndarray
    sources: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class TreeRows:
    """Trees side by side, as the rows of one forward pass.

    In each row, the nodes that predict something come last, so that logits are wanted of the last
    `n_kept` of every row. Shorter trees have padding before them, which no node attends to.

    Attributes
    ----------
    tokens, depths : ndarray of int64, shape (n_rows, n_nodes)
    places, ends : ndarray of int64, shape (n_rows, n_nodes)
        Where each node stood in its tree, and where what is below it ended; -1 for padding. A node
        attends to those with ``place <= own place < end``.
    n_kept : int
    prompts, targets : ndarray of int64, shape (n_targets,)
        As of the trees, one after the other.
    sources : ndarray of int64, shape (n_targets,)
        Which of the ``n_rows * n_kept`` rows of logits predicts the target.
    """

    tokens: np.ndarray
    depths: np.ndarray
    places: np.ndarray
    ends: np.ndarray
    n_kept: int
    prompts: np.ndarray
    targets: np.ndarray
    sources: np.ndarray


def put_in_rows(trees: Sequence[TokenTree]) -> TreeRows:
    """Put trees side by side.

    Parameters
    ----------
    trees : sequence of TokenTree

    Returns
    -------
    TreeRows
    """
    shape = len(trees), max(len(tree.tokens) for tree in trees)
    tokens, depths = np.zeros((2, *shape), dtype=np.int64)
    places, ends = np.full((2, *shape), -1, dtype=np.int64)
    predicting = [np.unique(tree.sources) for tree in trees]
    n_kept = max(map(len, predicting))
    sources = []
    for row, (tree, nodes) in enumerate(zip(trees, predicting, strict=True)):
        n_nodes = len(tree.tokens)
        order = np.concatenate([np.setdiff1d(np.arange(n_nodes), nodes), nodes])
        tokens[row, -n_nodes:] = tree.tokens[order]
        depths[row, -n_nodes:] = tree.depths[order]
        places[row, -n_nodes:] = order
        ends[row, -n_nodes:] = tree.ends[order]
        first = (row + 1) * n_kept - len(nodes)  # of this row's among all that are kept
        sources.append(first + np.searchsorted(nodes, tree.sources))
    prompts = np.concatenate([tree.prompts for tree in trees])
    targets = np.concatenate([tree.targets for tree in trees])
    return TreeRows(tokens, depths, places, ends, n_kept, prompts, targets, np.concatenate(sources))


def common_prefix_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Count the leading tokens that two sequences share."""
    length = min(len(first), len(second))
    for position in range(length):
        if first[position] != second[position]:
            return position
    return length


def grow_trees(
    prompts: Sequence[EncodedPrompt], n_shared: int, max_nodes: int
) -> Iterator[TokenTree]:
    """Arrange prompts as trees of limited size.

    Parameters
    ----------
    prompts : sequence of EncodedPrompt
    n_shared : int
        Number of leading tokens that all prompts share and that are computed elsewhere. At most
        ``n_context - 1`` of each prompt, since the node that predicts the first token of the
        continuation must be in the tree.
    max_nodes : int
        Largest number of nodes; a tree with a single prompt may have more.

    Yields
    ------
    TokenTree
    """
    # In sorted order, neighbours share the longest beginnings, so that little is computed twice.
    order = sorted(range(len(prompts)), key=lambda row: prompts[row].ids)
    tree = _TreeBuilder(n_shared)
    for row in order:
        if tree.tokens and len(tree.tokens) + tree.n_new(prompts[row]) > max_nodes:
            yield tree.build()
            tree = _TreeBuilder(n_shared)
        tree.add(row, prompts[row])
    if tree.tokens:
        yield tree.build()


class _TreeBuilder:
    """Takes prompts in sorted order, so that only the path to the last one is ever extended."""

    def __init__(self, n_shared: int):
        self.n_shared = n_shared
        self.tokens: list[int] = []
        self.ends: list[int] = []
        self.path: list[int] = []  # nodes of the last prompt, by depth
        self.path_tokens: list[int] = []
        self.prompts: list[int] = []
        self.sources: list[int] = []
        self.targets: list[int] = []
        self.depths: list[int] = []

    def n_new(self, prompt: EncodedPrompt) -> int:
        inputs = prompt.ids[self.n_shared : -1]
        return len(inputs) - common_prefix_length(inputs, self.path_tokens)

    def add(self, row: int, prompt: EncodedPrompt) -> None:
        inputs = prompt.ids[self.n_shared : -1]  # the last token is predicted, not read
        kept = common_prefix_length(inputs, self.path_tokens)
        self._leave(kept)
        for token in inputs[kept:]:
            self.ends.append(-1)  # known once the path leaves it
            self.depths.append(len(self.path))
            self.path.append(len(self.tokens))
            self.tokens.append(token)
        self.path_tokens = list(inputs)
        for position in range(prompt.n_context, len(prompt.ids)):
            self.prompts.append(row)
            self.sources.append(self.path[position - 1 - self.n_shared])
            self.targets.append(prompt.ids[position])

    def _leave(self, kept: int) -> None:
        for node in self.path[kept:]:
            self.ends[node] = len(self.tokens)
        del self.path[kept:]

    def build(self) -> TokenTree:
        self._leave(0)
        columns = (self.tokens, self.ends, self.depths, self.prompts, self.sources, self.targets)
        return TokenTree(*(np.asarray(column, dtype=np.int64) for column in columns))
