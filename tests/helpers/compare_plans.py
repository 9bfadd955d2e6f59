"""Plans and a training config that takes a second, for the tests of comparisons."""

from __future__ import annotations

from pathlib import Path

import spacy
from spacy import util
from thinc.api import Config

PLAN = """
[compare]
seeds = {seeds}
baseline = "{baseline}"
ceiling = null
n_bootstrap = 200

[sets]
test = "test.spacy"

[overrides]
paths.train = "train.spacy"
paths.dev = "dev.spacy"

[strategies]
{strategies}
"""


def write_plan(folder: Path, strategies: str, *, baseline: str, seeds: str = "[0,1]") -> Path:
    path = folder / "plan.cfg"
    plan = PLAN.replace("{baseline}", baseline).replace("{seeds}", seeds)
    path.write_text(plan.replace("{strategies}", strategies))
    return path


def _base() -> str:
    nlp = spacy.blank("xx")
    model = {
        "@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 16, "depth": 1,
        "embed_size": 100, "window_size": 1, "maxout_pieces": 2, "subword_features": False,
    }  # fmt: skip
    nlp.add_pipe("tok2vec", config={"model": model})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16, "upstream": "*"}
    parser = {
        "@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False,
        "hidden_width": 8, "maxout_pieces": 2, "use_upper": False, "nO": None, "tok2vec": listener,
    }  # fmt: skip
    nlp.add_pipe("ner", config={"model": parser})
    default = util.load_config(Path(spacy.__file__).parent / "default_config.cfg")
    config = Config(default).merge(nlp.config)
    config["training"] |= {"max_steps": 2, "eval_frequency": 2, "patience": 0}
    config["training"]["logger"] = {"@loggers": "spacy_xlt.Logger.v1", "output_file": None}
    return config.to_str(interpolate=False)


BASE = _base()
# A pipeline put together from a trained one, for `assemble`
ASSEMBLE = """
[paths]
trained = null

[nlp]
lang = "xx"
pipeline = ["tok2vec","ner"]

[components]

[components.tok2vec]
source = ${paths.trained}

[components.ner]
source = ${paths.trained}
"""
