"""A space of architectures: an ordered list of slots with options, for search strategies and for network builders.

A genotype is one option per slot, stored as the position of each option. Strategies see positions only, so that one
strategy searches every space.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.core.errors import DeclarationError

#: Position of the chosen option of each slot.
Genotype = tuple[int, ...]
Option = str | int


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One decision of an architecture.

    Attributes:
        name: Name of the decision, such as "edge 0-1" or "width".
        options: What can be chosen, each once.
        ordered: Whether neighbouring options are similar: a width is ordered, an operation is not.

    Raises:
        DeclarationError: There is no option, or one twice.
    """

    name: str
    options: tuple[Option, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        if not self.options:
            raise DeclarationError("no options to choose from", where=f"slot {self.name!r}")
        if len(set(self.options)) < len(self.options):
            raise DeclarationError("an option is given twice", where=f"slot {self.name!r}", found=self.options)


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpace:
    """All combinations of the options of some slots.

    Attributes:
        name: "tabular" or "image"; tells a builder which network to make.
        slots: The decisions, in the order in which a controller takes them.

    Raises:
        DeclarationError: There is no slot, or two slots share a name.
    """

    name: str
    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        names = [slot.name for slot in self.slots]
        if not names or len(set(names)) < len(names):
            raise DeclarationError("slots need names of their own", where=f"space {self.name!r}", found=names)

    def __len__(self) -> int:
        """Return the number of genotypes."""
        return math.prod(len(slot.options) for slot in self.slots)

    def __iter__(self) -> Iterator[Genotype]:
        """Yield every genotype, the last slot fastest."""
        return iter(itertools.product(*(range(len(slot.options)) for slot in self.slots)))

    def require(self, genotype: Sequence[int]) -> Genotype:
        """Return a genotype as a tuple.

        Raises:
            DeclarationError: It is no genotype of this space.
        """
        positions = tuple(int(position) for position in genotype)
        if len(positions) != len(self.slots) or any(
            not 0 <= position < len(slot.options) for position, slot in zip(positions, self.slots, strict=False)
        ):
            raise DeclarationError(
                "not a genotype of this space",
                where=f"space {self.name!r}",
                found=positions,
                fix=f"give {len(self.slots)} positions of options",
            )
        return positions

    def choices(self, genotype: Genotype) -> dict[str, Option]:
        """Return slot name -> the chosen option."""
        positions = self.require(genotype)
        return {slot.name: slot.options[position] for slot, position in zip(self.slots, positions, strict=True)}

    def genotype(self, choices: Mapping[str, Option]) -> Genotype:
        """Return the genotype of some choices by slot name.

        Raises:
            DeclarationError: A slot is missing, or an option is unknown.
        """
        for slot in self.slots:
            if choices.get(slot.name) not in slot.options:
                raise DeclarationError(
                    f"{choices.get(slot.name)!r} is no option", where=f"slot {slot.name!r}", found=slot.options
                )
        return tuple(slot.options.index(choices[slot.name]) for slot in self.slots)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """Draw a genotype, uniform over the options of each slot."""
        return tuple(int(rng.integers(len(slot.options))) for slot in self.slots)

    def neighbours(self, genotype: Genotype) -> list[Genotype]:
        """Return the genotypes that differ in one slot; in an ordered slot, by one step only."""
        found = []
        for at, slot in enumerate(self.slots):
            for position in range(len(slot.options)):
                distance = abs(position - genotype[at])
                if distance == 1 or (distance and not slot.ordered):
                    found.append((*genotype[:at], position, *genotype[at + 1 :]))
        return found

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Draw one neighbour: first a slot that can change, uniformly, then its new option."""
        open_slots = [at for at, slot in enumerate(self.slots) if len(slot.options) > 1]
        if not open_slots:
            return genotype
        at = open_slots[int(rng.integers(len(open_slots)))]
        changed = [other for other in self.neighbours(genotype) if other[at] != genotype[at]]
        return changed[int(rng.integers(len(changed)))]

    def restrict(self, options: Mapping[str, Sequence[Option]]) -> ArchitectureSpace:
        """Return the space with fewer options in the named slots; the others keep theirs.

        Raises:
            DeclarationError: A slot or an option does not exist.
        """
        known = {slot.name: slot for slot in self.slots}
        for name, kept in options.items():
            if name not in known or not set(kept) <= set(known[name].options):
                raise DeclarationError(f"no slot {name!r} with these options", where=self.name, found=list(known))
        return ArchitectureSpace(
            name=self.name,
            slots=tuple(
                Slot(name=slot.name, options=tuple(options.get(slot.name, slot.options)), ordered=slot.ordered)
                for slot in self.slots
            ),
        )
