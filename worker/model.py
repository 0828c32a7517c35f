"""What training leaves behind and prediction starts from: a readable JSON document, and the same as arrays.

No pickle: whoever can read numbers can read a model. A document of another feature list is refused at the start (E6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas import names
from shared.errors import InvalidInput
from worker.distribution import Spread
from worker.features import FEATURE_VERSION, FEATURES
from worker.players import Floats


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Term(_Part):
    """One feature's part in the ridge: coefficient × (feature - mean) / scale points; an unknown feature adds nothing."""

    coefficient: float
    mean: float
    scale: float = Field(gt=0)


class RidgePart(_Part):
    """The ridge's terms by feature, and the median points of a player who is average in all of them."""

    intercept: float
    penalty: float
    terms: dict[str, Term]


class SimilarityPart(_Part):
    """Past situations to look for like ones in: standardized features times their weights, and the points that came."""

    neighbours: int = Field(ge=1)
    weights: dict[str, float]
    situations: tuple[tuple[float, ...], ...]
    points: tuple[float, ...]


class SpreadPart(_Part):
    """See `worker.distribution.Spread`."""

    variance_at_zero: float = Field(gt=0)
    variance_per_point: float = Field(ge=0)
    prior_games: float = Field(gt=0)
    levels: tuple[float, ...] = Field(min_length=2)
    centers: tuple[float, ...] = Field(min_length=1)
    quantiles: tuple[tuple[float, ...], ...]


class CalibrationPart(_Part):
    """See `worker.calibration.calibrated`; `lines` is how many distinct real lines it was fitted on, 0 for none."""

    method: str
    slope: float
    lines: int


class TrainedOn(_Part):
    """The span and size of the training data; games of `until` and later were not seen."""

    first_date: str
    last_date: str
    until: str
    player_games: int
    players: int
    seasons: tuple[str, ...]
    is_simulated: bool


class ModelDocument(_Part):
    """A model as its JSON file says it."""

    format: Literal["tipoff-model-1"]
    model_version: str
    feature_version: str
    trained_on: TrainedOn
    ridge: RidgePart
    similarity: SimilarityPart
    ensemble: dict[str, Annotated[float, Field(ge=0)]]
    """The weight of each system in the ensemble; together 1."""
    spread: SpreadPart
    calibration: CalibrationPart
    metrics: dict[str, object]
    """What training measured on games that the measured fit had not seen."""


@dataclass(frozen=True)
class Model:
    """A model document, checked, and its parts as arrays in the order of `worker.features.FEATURES`."""

    document: ModelDocument

    @property
    def version(self) -> str:
        """Names the model in every row; one that was trained on simulated games says so in its name."""
        simulated = names.SIMULATED_MODEL if self.is_simulated else ""
        return simulated + self.document.model_version

    @property
    def is_simulated(self) -> bool:
        """Whether it was trained on simulated games, and so knows no player."""
        return self.document.trained_on.is_simulated

    @cached_property
    def spread(self) -> Spread:
        """The predictive distribution."""
        figures = dict(self.document.spread)
        return Spread(**figures | {name: np.array(figures[name]) for name in ("levels", "centers", "quantiles")})

    @cached_property
    def _terms(self) -> Floats:
        terms = self.document.ridge.terms
        return np.array([(terms[name].coefficient, terms[name].mean, terms[name].scale) for name in FEATURES])

    @cached_property
    def coefficients(self) -> Floats:
        """Points per standard deviation of each feature."""
        return self._terms[:, 0]

    def standardized(self, features: Floats) -> Floats:
        """Scale features to mean 0 and deviation 1 of the training data; an unknown one becomes its mean, 0."""
        scaled: Floats = (features - self._terms[:, 1]) / self._terms[:, 2]
        return np.where(np.isnan(scaled), 0.0, scaled)

    @cached_property
    def situations(self) -> Floats:
        """Past situations, one a row."""
        return np.array(self.document.similarity.situations)

    @cached_property
    def situation_points(self) -> Floats:
        """The points that came of each."""
        return np.array(self.document.similarity.points)

    @cached_property
    def metric(self) -> tuple[list[int], Floats]:
        """Which features count for likeness, and how much each."""
        names, weights = list(FEATURES), self.document.similarity.weights
        return [names.index(name) for name in weights], np.array(list(weights.values()))


def read_model(text: str | bytes, *, name: str) -> Model:
    """Read a model document; `name` says in errors where it came from.

    Raises:
        InvalidInput: it is no such document, or was trained on another list of features than this code computes.
    """
    try:
        document = ModelDocument.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidInput(
            "model", f"{name} is no model of this release: {where}: {first['msg']}; make one with `tipoff train`"
        ) from error
    if document.feature_version != FEATURE_VERSION or list(document.ridge.terms) != list(FEATURES):
        raise InvalidInput(
            "model",
            f"{name} was trained on {document.feature_version} with {len(document.ridge.terms)} features, this code "
            f"computes {FEATURE_VERSION} with {len(FEATURES)}; train it again with `tipoff train`",
        )
    _check_shapes(document, name)
    return Model(document)


def shipped_model() -> Model:
    """The model in the package, trained on the simulated sample season."""
    text = files("worker").joinpath("model.json").read_text(encoding="utf-8")
    return read_model(text, name="the shipped model")


def write_document(document: ModelDocument) -> str:
    """Write a document as its file: the same model always gives the same text."""
    return (
        _INNERMOST_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", document.model_dump_json(indent=1)) + "\n"
    )


_INNERMOST_LIST = re.compile(r"\[([^\[\]\"]*)\]")
"""A list of numbers, which is read best on one line."""


def _check_shapes(document: ModelDocument, name: str) -> None:
    similar, spread = document.similarity, document.spread
    sound = (
        set(similar.weights) <= set(FEATURES)
        and len(similar.points) == len(similar.situations) > similar.neighbours
        and {len(situation) for situation in similar.situations} == {len(similar.weights)}
        and len(spread.quantiles) == len(spread.centers)
        and {len(row) for row in spread.quantiles} == {len(spread.levels)}
    )
    if not sound:
        raise InvalidInput("model", f"{name} contradicts itself in the sizes of its parts; train it again")
