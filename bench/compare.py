"""Measures Moorage and its peers side by side, in alternated rounds, one server at a time, on the same disk."""

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from itertools import groupby
from pathlib import Path

from bench.certificates import make_certificate
from bench.figures import OURS, SERVERS, Content, Figure, Place, Scale
from bench.samples import Sample
from bench.seeds import BigFile, Seeded, check, seed_big, seed_calls, seed_images
from bench.servers import Server

#: Figure's id, server's name, one sample a round.
Samples = dict[str, dict[str, list[Sample]]]

BIG_FILES = 4


class Comparison:
    """Takes figures in a directory that is given up afterwards."""

    def __init__(self, figures: list[Figure], scale: Scale, directory: Path) -> None:
        self._figures = figures
        self._scale = scale
        self._directory = directory
        self._files: list[BigFile] = []
        self._seeded: dict[tuple[str, Content], Seeded] = {}
        self._certificate = make_certificate(directory)
        self._samples: Samples = defaultdict(lambda: defaultdict(list))

    def run(self) -> Samples:
        """Every figure on both of its servers, round by round; what is read was compared before."""
        if any(figure.content in {Content.BIG, Content.NOTHING} for figure in self._figures):
            size = self._scale.size
            self._files = [BigFile.make(self._directory / f"big-{n}", size) for n in range(BIG_FILES)]
        for number in range(self._scale.rounds):
            for content, figures in groupby(self._figures, key=lambda figure: figure.content):
                self._round(content, list(figures), is_reversed=bool(number % 2))
            sys.stderr.write(f"round {number + 1} of {self._scale.rounds} done\n")
        return self._samples

    def _round(self, content: Content, figures: list[Figure], *, is_reversed: bool) -> None:
        names = sorted({OURS, *(figure.peer for figure in figures)}, reverse=is_reversed)
        if content is Content.NOTHING:
            for figure in figures:
                for name in sorted({OURS, figure.peer}, reverse=is_reversed):
                    self._take_on_empty(name, figure)
            return
        for name in names:
            for is_tls in (False, True):
                wanted = [f for f in figures if f.is_tls is is_tls and name in {OURS, f.peer}]
                if wanted:
                    self._take_on_seeded(name, content, wanted, is_tls=is_tls)

    def _take_on_empty(self, name: str, figure: Figure) -> None:
        """On an empty data directory, so that nothing is there already and the disk suffices."""
        scratch = Path(tempfile.mkdtemp(dir=self._directory))
        try:
            with SERVERS[name](scratch, self._certificate if figure.is_tls else None) as server:
                self._take(name, figure, server, Seeded(), scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            os.sync()  # what is left to write must not fall into the next measurement

    def _take_on_seeded(self, name: str, content: Content, figures: list[Figure], *, is_tls: bool) -> None:
        directory = self._directory / f"{name}-{content.name.lower()}"
        with SERVERS[name](directory, self._certificate if is_tls else None) as server:
            key = (name, content)
            # What is kept in memory alone is gone with the server.
            if key not in self._seeded or name == "moto":
                self._seeded[key] = self._seed(server, content)
            for figure in figures:
                self._take(name, figure, server, self._seeded[key], directory)

    def _seed(self, server: Server, content: Content) -> Seeded:
        scale = self._scale
        if content is Content.IMAGES:
            seeded = seed_images(server, scale.repositories, scale.tags)
        elif content is Content.CALLS:
            return seed_calls(server, scale.repositories, max(scale.tags // scale.repositories, 10))
        else:
            seeded = seed_big(server, self._files[0])
        check(server, seeded)
        os.sync()
        sys.stderr.write(f"{server.name}: {content.name.lower()} pushed, read back and compared\n")
        return seeded

    def _take(self, name: str, figure: Figure, server: Server, seeded: Seeded, scratch: Path) -> None:
        place = Place(server, seeded, self._scale, self._files, scratch)
        self._samples[figure.id][name].append(figure.take(place))
