"""Every error and warning of the package: a code, what is wrong, the value seen, the setting to change."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Mapping
from typing import Any

from .printing import plain


class XltError(ValueError):
    """An error with a code from this file, such as "E010"; its text starts with `[XLT-E010]`."""

    def __init__(self, code: str, message: str):
        super().__init__(f"[XLT-{code}] {message}")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[XltError], tuple[str, str]]:
        return type(self), (self.code, self.message)


class DocumentError(XltError):
    """Something is wrong with one document, not with a setting: a build sets the document aside and goes on."""


class InputMismatch(XltError):
    """A document does not fit the settings. Others may, so that each is tried; a build stops, as a setting is wrong."""


class UnknownDirection(InputMismatch):
    """An engine does not know a direction of translation."""


class XltWarning(UserWarning):
    """A warning with a code from this file."""


# Numbers by stage: 0xx nouns and languages, 1xx components, 2xx translation, 3xx alignment,
# 4xx projection, 5xx commands and corpora, 6xx training and evaluation, 7xx bundled models, 8xx vocabularies.
_MESSAGES: dict[str, str] = {
    "E001": "{n_links} links but {n_scores} scores: an alignment needs one score for each link.",
    "E002": "A link points at ({i}, {j}), but there are {n_source} source and {n_target} target tokens.",
    "E003": "Cannot read {text!r} as a Pharaoh link; expected SOURCE-TARGET such as '0-0', or '3p2' for a possible "
    "link.",
    "E004": "This document stores a bitext of format {found}, and this version reads up to {known}. Update spacy-xlt, "
    "or build the bitext again.",
    "E005": "No bitext for {lang!r} on this document (it has: {known}). Run xlt_translator first, or set "
    "doc._.xlt[{lang!r}].",
    "E006": "Sentence pair {pair} reaches outside the bitext of {n_source} source and {n_target} target tokens.",
    "E007": "The stored bitext belongs to another text: made for {expected} source tokens, the document has {found}. "
    "Retokenising a document invalidates its bitexts; build them again.",
    "E008": "This document stores a bitext in an unknown language, {code!r}.",
    "E009": "The score of the link ({i}, {j}) is no number.",
    "E010": "Unknown language code {code!r}: give a spaCy, BCP-47, ISO 639-3 or NLLB code such as 'pt', 'por' or "
    "'por_Latn'.",
    "E011": "spaCy's tokenizer for {lang!r} cannot be made: {reason}. Install what it names; text that is given in "
    "tokens, such as columns, needs none, and another pipeline can cut translations: `target_pipeline` of "
    "xlt_translator, `target_pipelines` of xlt_parallel.",
    "E101": "{name}: the engine {engine} has no method `{method}`. Set `{setting}` to one that has it.",
    "E102": "{name}: no bitext on the document. Run xlt_translator before it, or set doc._.xlt[LANG].",
    "E104": "{name}: cannot load the pipeline {pipeline!r} that `{setting}` names: {reason}",
    "E105": "{name}: the engine returned {found} results for {expected} inputs.",
    "E106": "{user} needs the package {package}: {reason}. Run: pip install 'spacy-xlt[{extra}]'{otherwise}.",
    "E150": "`{setting}` of {owner} is {value!r}; expected {expected}.",
    "E160": "{name}: no pipeline is named. Set `{setting}` to a pipeline's name or path; in the configs that come "
    "with the package, --paths.annotator and --paths.pipeline set it.",
    "E161": "{name}: the pipeline {pipeline!r} that `{setting}` names has no component that sets {what} (it has: "
    "{known}). Give a pipeline with `ner`, `spancat` or an entity ruler; for span groups set `spans_key`.",
    "W160": "{name}: the members know different labels: {lacking}. A member has no say on a label that it lacks; if "
    "it has another name for it, set `labels`.",
    # E170 to E181 and W170 to W172 are in ner/xlt_ner.py, which goes into packages alone
    "W101": "{name}: loaded with {found}, but the pipeline was saved with {saved}; results may differ.",
    "W010": "spaCy has no tokenizer for {lang!r}; using the multi-language 'xx' class instead.",
    "W011": "'{lang}' is written without spaces and spaCy's 'xx' tokenizer cuts it only at spaces, so entities cannot "
    "be aligned. Set `target_pipeline` of xlt_translator to a pipeline that segments it, or `encoder` of xlt_parallel.",
    "E107": "{name}: a document has no translation beside it. `spacy xlt build --parallel` reads parallel text; for "
    "other documents take {name} out of the pipeline.",
    "E108": "Nothing annotates the source of the parallel text. Give --annotate a pipeline of its language, or put an "
    'xlt_annotator with `side = "source"` first in the config.',
    "E109": "{target}: {kept} of the {n} lines are kept ({reasons}). Is the text in the language that it should be in?",
    "E110": "{target}: lines of both sides that should say the same are linked hardly better (score {usual:.2f}) than "
    "lines that have nothing to do with each other ({unrelated:.2f}). Is one side shifted, or another text? Where the "
    "aligner's encoder does not know the language, take the LinkScoreFilter out of the config.",
    "E201": "{engine} cannot translate {source!r} to {target!r}. It knows: {known}.",
    "E202": "Nothing on this machine translates {source!r} to {target!r}. Looked for: {tried}. What could be done:\n"
    "{ways}",
    "E210": "BergamotTranslator: no model in `models` = {path}: {reason}. Give the folder of a Firefox Translations "
    "model (model.*.bin, vocab.*.spm) or a folder of such folders; leave `models` out for the bundled ones.",
    "E211": "{path} cannot be read: {reason}. It is not a whole file of a Firefox Translations model; fetch it again, "
    "or set `models` to another folder.",
    "E212": "{path}: models with `{key}: {value}` are not supported; expected {expected}. Set `models` to another "
    "model.",
    "E221": "{engine}: cannot load the model {model!r}: {reason}. Set `model` to a complete model folder or the name "
    "of a sequence-to-sequence model on the Hugging Face hub.",
    "E222": "{engine}: cannot tell how the model {model!r} (type {model_type!r}) is told the languages. Set `family` "
    "to one of: {known}.",
    "E223": "{engine}: the model {model!r} has no language codes of the family {family!r} in its vocabulary. Set "
    "`model` to a multilingual translation model, or `family` to what it really is.",
    "E224": "{engine}: the model {model!r} has no language codes. Set `prefix` to the words it was trained with, for "
    "example 'translate {{source}} to {{target}}: '.",
    "E225": "{engine}: the model {model!r} does not say which languages it translates. Set `directions`, for example "
    "to [['en', 'pt']].",
    "E230": "ParallelTranslator has no files to look translations up in. Set `memory` to a TMX or tab-separated file, "
    "or `source_file` and `target_file` to line-parallel ones.",
    "E234": "The files are not parallel, line by line: {found} lines{place}. Give two files with the same number of "
    "lines (ParallelTranslator: `source_file`, `target_file`; ParallelLines: `source`, `targets`).",
    "E235": "{path}: there is no text in two languages, no line or unit with both sides. Give another "
    "file (ParallelTranslator: `memory`, `source_file` or `target_file`).",
    "E236": "{files}: none of the first {n} annotated documents of {path} is there, the first one is {first!r}. A text "
    "is found where a line is the whole of it or a sentence of it, as it is; give the translations of this text.",
    "E251": "The glossary {path} that `terms` names cannot be read: {reason}.",
    "W250": "The cache of {what} {path} cannot be used: {reason}. Going on without it.",
    "W251": 'A text does not look like {lang!r}: {text!r}. It is translated and flagged "source_language", as others '
    "will be; set `source` if the documents are in another language.",
    "W241": "LlmAnnotator, so far: of {total} sentences {found}; {effect}.",
    "E226": "{engine}: the memory is too small for one text of {n_pieces} pieces. Set `beam_size`, `max_pieces` or "
    "`max_tokens` lower, whichever it has.",
    "W220": "{engine}: the memory is too small for a batch of {size} pieces; going on with half of that. Set "
    "`batch_tokens` lower.",
    "E238": "Apertium cannot be run: {reason}. On Debian or Ubuntu install it with a pair of languages, for example "
    "apt-get install apertium apertium-eng-spa, or set the variable APERTIUM_DATADIR to the folder of Apertium's data.",
    "E240": "Apertium gave no translation of {text!r}: {reason}",
    "E244": "CTranslate2Translator: setting `precision` is {value!r}, and this {device} computes in: {expected}.",
    "E245": "CTranslate2Translator cannot convert the model {model!r} to {quantization}: {reason}. Nothing of it was "
    "kept. Set `model` to another one, or `precision`, or use Seq2SeqTranslator.",
    "E246": "The converted model in {path} cannot be used: {reason}. Remove the folder so that it is made again, or "
    "set `model`.",
    "E247": "CTranslate2Translator cannot keep the converted model in {path}: {reason}. Nothing half was left. Make "
    "room, or set `cache_dir`.",
    "E270": "{url} refused the request (status {status}): {reason}. Check `model`, `base_url`, which usually ends in "
    "/v1, and whether the environment variable {variable}, which `key_variable` names, has a key that is valid there.",
    "E271": "{url} rejects a request (status {status}): {reason}. Is it too long, or has `parameters` what the server "
    "does not know?",
    "E272": "{url} gave no answer, tried {n} times; the last time: {reason}. Is the server running at "
    "this address? If it is, set `concurrency` lower, or `timeout` or `retries` higher.",
    "E273": "{url} answers in another form than OpenAI's API does. Set `base_url` to such an API; its address usually "
    "ends in /v1.",
    "E274": "`{setting}` = {most} is used up: {requests} requests were sent and {tokens} tokens read and written. The "
    "{answers} answers are {kept}. With a higher limit the same command goes on from there.",
    "E275": "The environment variable {variable} holds no key that can be sent: there are spaces, line ends or other "
    "characters than ASCII in it.",
    "E276": "The model {model!r} cannot be asked with messages: {reason}. Set `model` to one that is made for chats, "
    "or ask it with a text.",
    "E277": "A prompt has {found} tokens, and {model!r} reads {limit} with the answer. Shorten it, or set `model` "
    "to another one.",
    "E278": "The prompt {path} cannot be used: {reason}. It is a Jinja template that can name {known}; "
    "`python -m spacy xlt prompt {kind} --template` prints one that works.",
    "E279": "What the environment says of proxies and certificates cannot be used: {reason}. Check HTTP_PROXY, "
    "HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE.",
    "E285": "The model {model!r} cannot fill slots: {reason}. Set `model` to one of T5's kind, such as "
    "google/mt5-small, or to a folder that `spacy xlt train-generator` wrote from one.",
    "E286": "{path} has no sentence to learn from: {reason}.",
    "E302": "The model {model!r} has {known} layers; `layer` is {layer!r} and must be from 0 to {known}.",
    "E303": "Cannot load the model {model!r}: {reason}. Set `{setting}` to a complete model folder or a Hugging Face "
    "name.",
    "E305": "simalign cannot align a pair of {n_source} and {n_target} tokens: {reason}. Use EmbeddingAligner, which "
    "reads texts of any length.",
    "E308": "AttentionAligner: a pair comes without stored attention, and there is no translator to read it. Set "
    "`translator`, for example to BergamotTranslator.",
    "E309": "{engine}: the languages of a pair are unknown. Set `{setting}` to a language code, or give the documents "
    "their language.",
    "E350": "{path}, line {line}: {found} times '|||'; expected source, '|||' and target. Give a second file where "
    "the first has the source alone.",
    "E353": "The model {model!r} cannot be adapted: {reason}. Set `model` to an encoder such as BERT or XLM-R.",
    "E354": "{path} has nothing to learn from: {reason}.",
    "E355": "There is no objective to train with. Give one or more a section [objectives.NAME].",
    "E356": "{n_source} source and {n_target} target texts were given; each needs one translation.",
    "E357": "{options} both name what to write. Set one of them.",
    "E358": "{path}, line {line}: there is no second word. A line of a lexicon has a word, a tab or a space, and "
    "another word that means the same.",
    "E359": "{path}, line {line}: {found} of three columns. A line has head, relation, tail, and tabs between them.",
    "E360": "Step {step}: the {what} is {value}, so that nothing more can be learned; nothing was written. Lower the "
    "learning rate (it is {rate:g}), and look for damaged weights in the model.",
    "E361": "{path} holds no statistical aligner that can be read: {reason}. Set `path` to a folder that "
    "StatisticalAligner.to_disk wrote with the same settings.",
    "E362": "StatisticalAligner: no sentence pairs in {source} to learn from.",
    "W350": "StatisticalAligner learned from {n} sentence pairs only, so its links will be poor. Set `corpus` to "
    "parallel text of the two languages (thousands of lines), or `path` to a trained model.",
    "W351": "{n} pairs of more than {limit} tokens cannot be aligned by `model` {model!r}; they get no links. Set "
    '`model` to "fast_align".',
    "E341": "The model {model!r} gives no vectors of its layers for a text: {reason}. Set `model` to an encoder of "
    "text.",
    "E342": "The tokenizer makes piece {piece} of {token!r}, and the model knows {known} pieces. They do not belong "
    "together; set `model` to a folder in which they do.",
    "W340": "{name}: {unlinked} of {words} words of {lang!r} found no link. It is written without spaces; set "
    "`target_pipeline` of xlt_translator to a pipeline that cuts words, or `encoder` of xlt_parallel.",
    "E402": '{name}: with `direction = "target_to_source"` one translation can annotate the document, and it has '
    "several ({known}). Set `targets` to one of them.",
    "E404": "{name}: {text!r} has the label {label!r}, which `labels` does not have (it has: {known}). Add it there, "
    "or leave `labels` out.",
    "W401": "{name}: a document has no entities to project, and its translation ({lang!r}) has some, which go. "
    'To take them to the document, set `direction` to "target_to_source".',
    "E410": "{projector} cannot work on a bitext from {source!r} to {target!r}. {reason} Set `translator` to an "
    "engine that knows what is needed; where the bitexts do not say their languages, set `source` and `target`.",
    "E501": "Cannot write {path}: {reason}. What was finished is kept; make room or choose another folder, then run "
    "it again.",
    "E502": "No such {what}: {path}.",
    "E503": "{path} holds no documents. A corpus needs at least one; was it converted from the right file?",
    "E504": "{path} is not a spaCy corpus (.spacy) or a folder of them: {reason}",
    "E660": "The plan {path} cannot be used: {reason}.",
    "E661": "The strategy {strategy} needs {{{name}}}, which is no strategy of the plan. Known: {known}.",
    "E662": "These strategies need each other, so that none can be first: {names}. Change `overrides` or `models`.",
    "E663": 'The strategy {strategy} needs {{{name}:*}}, the models of all seeds: only `models` of type = "average" '
    "and `pipelines` of a label section take several.",
    "E664": "{setting}: {value!r} is not in the plan. Known: {known}.",
    "E665": "The strategy {strategy} finds no model to average at {pattern}. Set `models`, or have the training write "
    "them.",
    "E666": "The config of the strategy {strategy} cannot be used: {reason}",
    "E669": "{path}: the evaluation set {name} has no entity{of_labels}, so there is nothing to score.",
    "E672": "{path} was predicted for another text than {name} has now. Run the comparison again.",
    "E673": "It needs {name}, which failed.",
    "W660": "The strategy {strategy} reads the evaluation set {set} (`{setting}`): its score there says nothing.",
    "E530": "{path}, line {line}: {found} columns; expected source tokens, target tokens and links with tabs between.",
    "E531": "{path}, line {line}: {reason}",
    "E603": "The pipeline has no component {component!r} (it has: {known}). Set `component`.",
    "E604": "`{setting}` is {layers}, and the encoder has {known} layers.",
    "E651": "The bitexts of {path} have no word links, so no words can be swapped. Build them with an xlt_aligner.",
    "E606": "split_contractions: no table for {lang!r}. Known: {known}. Set `share` to 0.0 for other languages.",
    "E609": "There is no section for the setting {name!r}. Sections: {known}.",
    "E610": "[{section}] `{setting}` is {value!r}; expected {expected}.",
    "E611": "[{section}] has {found}, which a source of documents does not have. It has: {known}.",
    "E612": "Nothing is left to read of the source {name!r} ({path}): {counts}. Change its settings in [{section}], "
    "or set its `weight` to 0 to leave it out.",
    "E613": "The sources do not have the same {key} labels, so what one calls an entity another one teaches to be "
    'none.\n{table}\nWhere two labels mean the same, or one is to be left out (""), map them in '
    '[{section}.sources.NAME.labels]: PERSON = "PER". Where the difference is meant to be, set `labels_may_differ` in '
    "[{section}] to {labels}, or to true.",
    "E614": "The source {name!r} ({path}) is declared to be in {lang!r}, and its text is not: {reason}. Set `lang` or "
    "`path` in [{section}] to what it is, or `check_language` to false.",
    "E615": "The source {name!r} of the development set is annotated by people in {lang!r}, a language that the "
    "pipeline is for ({targets}): its score would choose the model by what is to be measured later. Use source gold "
    'or projected data (`kind = "projected"`), set `targets` to other languages, or allow it with `target_gold = '
    "true`.",
    "E616": "The source {name!r} ({path}) has a `min_score` of {min_score}, and none of its {n} spans has a score: "
    "only projected ones have. Set it to 0 in [{section}].",
    "W610": "The source {name!r} ({path}): {counts}.",
    "W611": "The source {name!r} ({path}) has {n} documents to draw from; its `limit` is {limit}.",
    "W612": "[{section}.labels] names {labels}, which {path} does not have (it has: {known}).",
    "W613": 'The categories differ.\n{table}\nWhere two mean the same, or one is to be left out (""), map them in '
    '[{section}.sources.NAME.labels]: greet = "greeting". Where the difference is meant to be, set `labels_may_differ` '
    "in [{section}] to {labels}, or to true.",
    "E630": "The encoder {encoder!r} has no fast tokenizer, only {found}, which does not say where in the text its "
    "pieces are. Set `{setting}` to an encoder with a fast tokenizer (a tokenizer.json), and leave `use_fast` on.",
    "E632": "`target_modules` has {unknown}, and the encoder {encoder!r} has no such module outside `freeze_layers`. "
    "It has: {known}.",
    "E635": "`{setting}` is {value!r}, which the encoder {encoder!r} ({architecture}) does not support: {reason}",
    "W620": "`mixed_precision` is {value!r}, which this {device} does not compute in; training in float32 instead.",
    "W601": "{path}: {words_shortened} words shortened; {docs_cut} documents of more than {max_pieces} {unit} cut "
    "into {windows} windows; {spans_cut} entities longer than a window marked as missing.",
    "W602": "An example of {n_pieces} word pieces is more than a batch of {size}; it is trained on alone, as is every "
    "other one of that kind. Set `size`, or read the corpus with spacy_xlt.MixedCorpus.v1, which cuts such documents.",
    "E640": "{path} is no trained pipeline and no folder of snapshots: {reason}.",
    "E641": "{path} cannot take the snapshots of this training: {reason}. Nothing was changed there. Set `path` "
    "(--paths.snapshots) to another folder, or delete what it holds.",
    "E643": "{path} cannot be averaged with {first}: {difference}. {hint}",
    "E644": "{path}: the weights {name} are not finite numbers, so no average can be taken. Leave this one out.",
    "E645": "{path} {reason}; it is left as it is. {hint}",
    "W630": "No snapshot was written to {path}: {reason}. The training goes on, and earlier snapshots are kept.",
    "W632": "{component} of {path} did not start from the same values as that of {first} (their weights have a cosine "
    "of {cosine:.2f}), so their average may be of no use. Train every run with spacy_xlt.head_seed.v1.",
    "W633": "There is one pipeline to average, {path}: the average is that pipeline.",
    "E680": "{path} is not a file of licences: {reason}. Expected a JSON object: key to name, licence, url, author.",
    "E681": "No licence is known of: {names}. Whoever gets the pipeline has to know what it is made from. Name the "
    "data with --data KEY, or --data SOURCE=KEY for one training source or the encoder, and give a file that has the "
    "key with --licences (it has: {known}); or --allow-unknown.",
    "E682": "The card needs the licence of the pipeline itself: give it with --license. It is made from: {licences}.",
    "E683": "{path} is no pipeline: {reason}",
    "E684": "{path} holds no scores of entities or spans: {reason}. Give what `spacy evaluate --output` wrote.",
    "E685": "--data {name}=...: the pipeline has no training source of this name. It has: {known}.",
    "E687": "Cannot write a copy of {source} to {output}. Set --output to a new folder, or to a copy that an "
    "earlier `spacy xlt card` wrote.",
    "E702": "{path} cannot be read as a bundled model: {reason}. Install the package it comes with again.",
    "E703": "No bundled model is called {name!r}. Known: {known}.",
    "E705": "The model 'bundled:{name}' has {known} layers; `layers` is {layers!r} and must be from 1 to {known}.",
    "E860": "The tokenizer of {model!r} cannot be changed: {reason}. Take a model whose tokenizer.json holds Unigram, "
    "WordPiece or BPE; pieces can be romanised of the first two.",
    "E861": "The vocabulary of {model!r} cannot be changed: {reason}. Take an encoder such as BERT or XLM-R.",
    "E862": "The texts change nothing: {reason}. Give other texts.",
    "E505": "{path} holds a build of another config or input; nothing was changed there. Different: {difference}. "
    "Choose another folder, or remove this one.",
    "E506": "{path} is not empty and holds no {what}: it has no {marker} that this package wrote. Nothing in it was "
    "touched; choose another folder.",
    "E507": "None of the {n} documents of {path} has an entity, a span or a category, so there is nothing to project. "
    "Was it read from the right column, and does it have the labels that --labels names? A component that "
    "annotates the text can stand before the others in the config.",
    "E508": "None of the {n} documents could be processed; the first one failed with: {reason}",
    "E509": "{path}: the config has no {component} component in [nlp] pipeline (it has: {known}).",
    "E510": "{setting} is {value!r}; expected {expected}.",
    "E511": "{path}, line {line}: no column {column} (it has {found}). Set --token-col and --tag-col (of convert "
    "or build), counted from 1.",
    "E512": "{path}, line {line}: {value!r} in column {column} is no entity tag such as O, B-PER or I-PER. Set "
    "--tag-col (of convert or build), counted from 1; take the line out if it is a header. For a text and its "
    "label set --format to texts.",
    "E513": "{path} is not {encoding}: byte {position}, in line {line}, cannot be read. Save it as {encoding}, or "
    "let convert, build or label read it with --encoding, for example {hint} (ParallelLines: `encoding`).",
    "E519": "There is no option {option}. {hint} Settings of a config are changed by their full names, with dots: "
    "--components.xlt_aligner.engine.layer 8.",
    "W513": "{path} begins with the mark of {found} and is read as that, not as {encoding}.",
    "W514": "{path} is read as {encoding}, and looks like {found}. If characters are wrong, set --encoding to that.",
    "W515": "{path}: {n} files .json are passed over, the first one is {first}. Where they are annotated text, "
    "give each by itself, or set --format to jsonl.",
    "E514": "The config {path} cannot be used: {reason}",
    "E515": "No document of {path} stores a bitext. Give the folder that `spacy xlt build` wrote.",
    "E516": "{path}, line {line}: {found} cells, and line {first} has {expected}. Tabs stand between the cells, or "
    "spaces where that line has no tab; a token with a space in it needs tabs in all lines.",
    "E520": "{source} has {n_source} documents and {gold} has {n_gold}: eval-projection needs the same sentences in "
    "the same order on both sides.",
    "E521": "{path} has no {what}, so there is nothing to score.",
    "E522": "--labels is {labels!r}, and {path} has only: {known}.",
    "W522": "{path} has no spans with the labels {labels} that --labels names (it has: {known}).",
    "E523": "The config {name} is there twice; there is nothing to compare it with.",
    "E524": "eval-projection needs {expected} and got {found} paths. {hint}",
    "E550": "The shard {shard} cannot be read: {path}: {reason}. The command that built it makes it again.",
    "E551": "The build has several languages ({known}); set --lang to one of them.",
    "E552": "{path} has no documents in the language {lang!r} (it has: {known}). Set {setting} to one of them.",
    "E553": "{path} {reason}; nothing was written. Choose another path.",
    "E554": "{path} is there already; nothing was written. Give --overwrite to replace it, or choose another path.",
    "E557": "The name {name!r} leads out of the folder {folder}; nothing is read or written there. The file that "
    "has the name was not made by this package, or a link was put there.",
    "E556": "{path} has no documents for {what}: all are empty, or none was translated.",
    "W550": "{side} has no documents: with {n} documents and a share of {share} that happens by chance. Set "
    "another share, or another seed.",
    "E535": "{path} cannot be read: {reason}.",
    "E536": "{path}: {reason}. In the format brat, a text NAME.txt has its annotation beside it, in NAME.ann; for "
    "another format set --format: marked for relations that are marked in the text, pubtator, texts for a text and its "
    "label, lines for plain text with a document a line.",
    "E537": "{path}, line {line}: {reason}. Each line must be an annotation as brat saves it, such as 'T1<TAB>PER 0 "
    "5<TAB>Maria'.",
    "E539": "The name of {path} does not tell its format. Set --format to one of: {known}.",
    "E542": "{path}: {what}: {found:,}, and the limit is {limit:,}. Is the file what it should be? If so, cut it into "
    "smaller ones.",
    "E541": "{setting} is set, and no file of {path} has a format that it is for: {formats}.",
    "W534": "{n} texts of {path} have no .ann beside them and are left out, the first one is {first}.",
    "W535": "{path}: {n} spans that do not begin and end with tokens are widened to whole tokens, the first one is "
    "{first}. Is --lang the language of the text?",
    "W536": "{path}: {n} spans that overlap others are no entities, the first one is {first}. {hint}",
    "W537": "{path}: {n} spans are in pieces and now reach from their first to their last, the first one is {first}.",
    "W538": "{path}: {n} spans of no token or of white space alone are left out, the first one is {first}.",
    "W540": "{path}: {n} sentences have a raw text that does not fit their tokens, so a space follows each token; the "
    "first one is {first}.",
    "W541": "{path}: {n} lines are taken as the names of columns and left out, the first one is {first}.",
    "W542": "{path}: {n} lines that begin with # and end in an entity tag are taken as comments, the first one is "
    "{first}. A row has as many cells as the first row.",
    "W543": "{path}: {n} ranges and empty nodes of CoNLL-U have an entity tag, and are left out as others; the first "
    "one is {first}.",
    "W544": "{path}: each token begins with {first}, as in WikiAnn; this is taken off.",
    "W545": "{path}: most tokens begin with {first}, as in WikiAnn, but not all; nothing is taken off.",
    "W551": "{path}: every tag is '-', which says that annotation is missing. Is --tag-col the column of the tags?",
    "W552": "{path}: all tags are O, and another column has tags such as {first}. Set --tag-col if that one is meant.",
    "W546": "{path}: {n} sentences have no blank line before and behind them, or more than 200 tokens, and are cut "
    "where spaCy's sentencizer finds an end; the first one is {first}. Put a blank line after each sentence.",
    "W539": "{path}: the white space at the ends of {n} spans is left out, the first one is now {first}.",
    "W563": "{path}: {n} texts say nothing of spans, the first one in {first}. Their entities count as missing, "
    'not as none: give texts without entities an empty list, as in "spans": [].',
    "W547": "{path}: {n} spans share a token with another one, and a token is in one entity at most: {first}. {hint}",
    "W564": "{path}: the offsets of spans are taken for {first}, the only unit in which they fit the text.",
    "W566": "{path}: the offsets of spans are read as code points, and may be UTF-8 bytes: a span is {first}. Give "
    'spans the "text" that they cover, and it is compared.',
    "W565": "{path}: {n} spans have token numbers that disagree with their character offsets, which are used. "
    'The first one is {first}. Give the "tokens", or leave "token_start" and "token_end" out.',
    "W548": "{path}: the ids of {n} spans are stored without their names and are read as numbers; the first span is "
    "{first}.",
    "W549": "{path}: {n} spans of groups that are this package's own are no entities and are not projected, the first "
    "one is {first}. Give the group another name.",
    "E560": "None of the {n} bitexts of {path} can be read; the first one failed with: {reason}",
    "E561": "The colour of the label {label!r} is {value!r}; expected a colour such as '#7aecec'.",
    "E562": "Nothing to show in {value}. Give Bitexts, or Docs on which xlt_translator stored one.",
    "E563": "`spacy xlt view` needs a page to write to (OUT.html), or --text to print here.",
    "E564": "{path}, line {line}: {reason}. Each line must be a JSON object with a text and its spans, as Prodigy, "
    "doccano and the page of `spacy xlt view --review` save it. For the JSON of SQuAD or TACRED set --format to squad "
    "or tacred.",
    "E565": "None of the {n} corrections of {path} is about a document of {where}: they were made from a build of "
    "another corpus.",
    "E567": "{path}: the lines {first} and {second} are about the same sentence and differ. Keep one of them.",
    "E568": "{path} has no {what}.",
    "E569": "{path}, line {line}: the format {found} is of a newer version; this one knows formats up to {known}.",
    "E570": "{where} has the sentences of none of the {n} accepted lines of {path}. Give the corpus that was built "
    "from.",
    "W561": "{n} of the {total} lines of {path} fit no sentence of this build and are left out: {lines}.",
    "W567": "{path}: {n} relations, events or other annotations cannot be used and are left out: {first}.",
    "W568": "{path}: lines with another answer than 'accept' are left out: {answers}.",
    "W562": "{n} lines of {path} are left out; {lines}, where {reason}.",
    "E573": "{path}, line {line}: {reason}. In a correction, text and id are those of the sentence, and spans begin "
    "and end with its words.",
    "E574": "{path}, line {line}: {reason}. It is read as --format {format} has it.",
    "E577": "{path}, line {line}: {reason}. A line of a table of letters has a letter or several, a tab, and what is "
    "written for them.",
    "W577": "{path}: no token has {tags} as its part of speech, tag or entity label (they have: {known}).",
    "E571": "{path} is in use by another process. Wait until it is finished (`build --wait` does), or choose "
    "another folder.",
    "E572": "{name}: the memory was too small for {n} documents in a row, each alone; the last one failed with: "
    "{reason}. What was finished is kept. Free memory, or set what the component needs lower, then run it again.",
    "W571": "{name}: the memory is too small for {size} documents at once; going on with {smaller} at a time. Set "
    "`nlp.batch_size` lower.",
    "W572": "{path} is in use by another process. Waiting until it is finished.",
    "E580": "{path} is no build folder: {reason}. Give the folder that `spacy xlt build` wrote.",
    "E581": "{path} cannot be read: {reason}. Build into another folder.",
    "E582": "{path} was written by another version of spacy-xlt (format {found}; this one knows format {known}). "
    "Use that version, or build into another folder.",
    "E583": "{path} has changed while it was read: it had {expected} documents and has {found}. Start the build again.",
    "E584": "A worker ended {n} times over the shard {shard}, and no single document of it is the cause. Give the "
    "worker more memory, or fewer documents with --docs-per-shard.",
    "E585": "No worker could be started: {reason}",
    "E586": "A worker cannot go on: {reason}",
    "E588": "The Ray cluster at {address} cannot be used: {reason}. Set RAY_ADDRESS to a running cluster that has "
    "spacy-xlt installed on each machine.",
    "E576": "Nothing is written to {path}: --format {format} cannot hold what the documents have ({kinds}). Choose "
    "another format.",
    "E589": "--gpu-id is {first}, and this machine has {has} GPUs, counted from 0. Set --gpu-id lower.",
    "E590": "The worker on {host} has {found}, and others have {expected}: their output could differ. Put the same "
    "models and packages everywhere.",
    "E591": "{n} workers ended one after the other without finishing anything. Set --workers lower if memory is short.",
    "E592": "Nothing of {path} is left to label ({reasons}). Give text that is in no evaluation set of --exclude.",
    "E593": "{path} has no annotation to agree with. With --agree or --either, RAW is the target folder of a build.",
    "E594": "None of the {n} documents of {path} has an entity, so there is nothing to learn from it. Leave it out.",
    "E596": "The step {step} failed. What was finished is kept; when the cause is gone, the same command goes on from "
    "there. All that was printed is in {log}, which ends with:\n{reason}",
    "W593": "{path} has {n} sentences; below {needed} the ranking is uncertain. Give more text.",
    "W583": "{path} cannot be read and is left out, all {size} of it: {reason}",
    "W584": "{n} of the {total} texts of {path} cannot be read and are left out, the first one is {first}: {reason}",
    "W576": "{path}: not written, as --format {format} cannot hold it: {kinds}.",
    "W560": "{n} of the bitexts of {path} cannot be read and are left out; the first one failed with: {reason}",
}

# The class of an error, where it is more than an `XltError`.
_KINDS: dict[str, type[XltError]] = {
    **dict.fromkeys("E001 E002 E004 E006 E007 E008 E226 E240 E271 E277 E305".split(), DocumentError),
    **dict.fromkeys("E005 E102 E308 E309 E342 E402 E404".split(), InputMismatch),
    **dict.fromkeys("E201 E410".split(), UnknownDirection),
}
# What the system says of a disk, of files and of the number of processes.
_OF_THE_MACHINE = frozenset(
    getattr(errno, name)
    for name in "ENOSPC EDQUOT EROFS EFBIG EIO EMFILE ENFILE EAGAIN ENODEV ESTALE ENOENT ENOTDIR EACCES EPERM".split()
    if hasattr(errno, name)
)


def is_document_error(err: BaseException) -> bool:
    """Whether an error that a component raised is about the document, so that a build can set it aside and go on.

    What is about a setting, a package that is missing, a full disk or a GPU that has stopped working would come with
    every other document as well.
    """
    if isinstance(err, XltError):
        return isinstance(err, DocumentError)
    return not _is_of_the_machine(err)


def is_fatal(err: BaseException) -> bool:
    """Whether an error would come with every document, so that trying them one by one is of no use."""
    if isinstance(err, XltError):
        return not isinstance(err, (DocumentError, InputMismatch))
    return _is_of_the_machine(err)


def _is_of_the_machine(err: BaseException) -> bool:
    if isinstance(err, OSError):
        return err.errno in _OF_THE_MACHINE
    # After an error in one of its kernels, CUDA refuses whatever the process asks of it. A full memory is none
    names = {kind.__name__ for kind in type(err).__mro__}
    broken = isinstance(err, RuntimeError) and ("AcceleratorError" in names or "CUDA error" in str(err))
    return isinstance(err, ImportError) or (broken and "out of memory" not in str(err).lower())


def error(code: str, /, **values: Any) -> XltError:
    """Make the error with this code, of the class that the code belongs to: `raise error("E010", code=code)`."""
    return _KINDS.get(code, XltError)(code, _message(code, values))


def missing_package(
    user: str, package: str, extra: str, *, reason: str = "it is not installed", otherwise: str = ""
) -> XltError:
    """The error where `user` needs a package that comes with one of our extras; `otherwise` is another way out."""
    return error("E106", user=user, package=package, extra=extra, reason=reason, otherwise=otherwise)


def warn(code: str, /, *, stacklevel: int = 3, **values: Any) -> None:
    """Issue the warning with this code."""
    warnings.warn(f"[XLT-{code}] {_message(code, values)}", XltWarning, stacklevel=stacklevel)


def _message(code: str, values: Mapping[str, Any]) -> str:
    """The text, in which what comes from data cannot steer a terminal."""
    return plain(_MESSAGES[code].format(**values), lines=True)
