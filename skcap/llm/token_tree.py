"""Prompts that share their beginnings, as a tree in which every distinct token is computed once.

The variants of a text differ by a few words. As a prefix tree, the tokens of all of them fit into
one sequence; an attention mask lets each token attend to its own ancestors only, and its position
is its depth. A causal model then computes for each node what it would compute in its own prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from skcap.llm.prompt_encoding import EncodedPrompt

__all__ = ["TokenTree", "common_prefix_length", "grow_trees"]


@dataclass(frozen=True)
class TokenTree:
    """The distinct tokens of some prompts beyond their common prefix.

    Attributes
    ----------
    tokens : ndarray of int64, shape (n_nodes,)
        Parents come before their children.
    parents : ndarray of int64, shape (n_nodes,)
        Position of the parent; -1 for a child of the common prefix.
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
    parents: np.ndarray
    depths: np.ndarray
    prompts: np.ndarray
    sources: np.ndarray
    targets: np.ndarray

    def ancestors(self) -> np.ndarray:
        """Which nodes each node may attend to: itself and those above it.

        Returns
        -------
        ndarray of bool, shape (n_nodes, n_nodes)
        """
        n_nodes = len(self.tokens)
        visible = np.zeros((n_nodes, n_nodes), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                visible[node] = visible[parent]
            visible[node, node] = True
        return visible


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
        self.parents: list[int] = []
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
        del self.path[kept:]
        for token in inputs[kept:]:
            self.parents.append(self.path[-1] if self.path else -1)
            self.depths.append(len(self.path))
            self.path.append(len(self.tokens))
            self.tokens.append(token)
        self.path_tokens = list(inputs)
        for position in range(prompt.n_context, len(prompt.ids)):
            self.prompts.append(row)
            self.sources.append(self.path[position - 1 - self.n_shared])
            self.targets.append(prompt.ids[position])

    def build(self) -> TokenTree:
        columns = (
            self.tokens,
            self.parents,
            self.depths,
            self.prompts,
            self.sources,
            self.targets,
        )
        return TokenTree(*(np.asarray(column, dtype=np.int64) for column in columns))
