"""In which wave each stage can be measured, and after which wave what needs all documents together is known."""

from __future__ import annotations

from winnow.pipelines.engine.declaration import Pipeline
from winnow.pipelines.engine.graph import Node
from winnow.pipelines.engine.yaml_source import SpecError
from winnow.stages.stage import Corpus, Measured, Terminal


def waves_of(pipeline: Pipeline, measured: set[str]) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Wave in which each stage is measured; after which wave each corpus stage reduces, and each stage's statistics are
    told."""
    waves: dict[str, int] = {}
    reduces: dict[str, int] = {}
    resolves: dict[str, int] = {}

    def shown(node: Node) -> int:
        """After which wave a stage's signals are there."""
        return reduce(node) if isinstance(node.stage, Corpus) else wave(node)

    def known(node: Node) -> int:
        """The wave that can use a stage's verdict: its own, unless all documents together decide it."""
        if node.statistics:
            return resolve(node) + 1
        return shown(node) + 1 if isinstance(node.stage, Corpus) else wave(node)

    def waits(node: Node) -> bool:
        return bool(node.statistics) or isinstance(node.stage, Corpus)

    def wave(node: Node) -> int:
        if node.name not in waves:
            gates = [gate for gates in pipeline.needs(node) for gate in gates]
            read = [
                pipeline.nodes[r] for g in gates for r in g.reads() if isinstance(pipeline.nodes[r].stage, Measured)
            ]
            before = [known(g) for g in gates if g.name in measured or g.statistics or isinstance(g.stage, Corpus)]
            later = (Corpus, Terminal)
            before += [shown(r) + isinstance(r.stage, later) for r in read if r.name in measured or r.name in reduces]
            editors = [pipeline.nodes[name] for name in node.edited_by]
            before += [shown(editor) + isinstance(editor.stage, Corpus) for editor in editors]
            waves[node.name] = max(before, default=0)
        return waves[node.name]

    def population(node: Node) -> int:
        """After which wave it is known which documents a stage sees."""
        return max((known(g) - waits(g) for g in pipeline.gates(node)), default=0)

    def reduce(node: Node) -> int:
        if node.name not in reduces:
            read = [shown(pipeline.nodes[r]) for r in node.reads() if isinstance(pipeline.nodes[r].stage, Measured)]
            repeating = [pipeline.nodes[a] for a in node.ancestors if pipeline.nodes[a].repeats]
            read += [known(a) - waits(a) for a in repeating]
            read += [
                shown(pipeline.nodes[r])
                for a in repeating
                for r in a.decides_by()
                if isinstance(pipeline.nodes[r].stage, Measured)
            ]
            reduces[node.name] = max([wave(node), population(node), *read])
        return reduces[node.name]

    def resolve(node: Node) -> int:
        if node.name not in resolves:
            read = [shown(pipeline.nodes[r]) for r in node.reads() if isinstance(pipeline.nodes[r].stage, Measured)]
            resolves[node.name] = max([shown(node), population(node), *read])
        return resolves[node.name]

    try:
        for node in pipeline.measured():
            shown(node)
            if node.statistics:
                resolve(node)
    except RecursionError:
        terminal = pipeline.terminal()
        raise SpecError(
            f"{pipeline.path}: stages: a corpus stage with a keep clause reads '{terminal.name if terminal else ''}' "
            "signals, which wait for that clause; remove the clause"
        ) from None
    return {n: w for n, w in waves.items() if n in measured}, reduces, resolves
