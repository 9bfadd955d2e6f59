"""The tokenizer that cuts scripts without spaces into the pieces of an encoder."""

import pytest
import spacy
from spacy.util import registry
from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer, Metaspace
from transformers import PreTrainedTokenizerFast

from spacy_xlt import tokens
from spacy_xlt.ner import xlt_ner

SCORES = {"▁": -1, "北京": -2, "在": -2, "大": -4, "学": -4, "大学": -5, "กรุงเทพ": -3, "ไป": -3, "hello": -3}
CONFIG = {"nlp": {"tokenizer": {"@tokenizers": "spacy_xlt.PieceTokenizer.v1"}}}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    tokenizer = Tokenizer(Unigram([("<unk>", 0.0), *SCORES.items()], unk_id=0))
    tokenizer.pre_tokenizer = Metaspace()
    folder = tmp_path_factory.mktemp("unigram")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    return str(folder)


@pytest.fixture
def nlp(encoder):
    nlp = spacy.blank("xx", config=CONFIG)
    nlp.tokenizer.initialize(encoder=encoder)
    return nlp


def words(doc):
    return [token.text for token in doc]


def test_chinese_and_thai_are_cut_into_pieces_and_the_text_stays(nlp):
    for text, expected in (
        ("在北京大学。 hello, world", ["在", "北京", "大学", "。", "hello", ",", "world"]),
        ("ไปกรุงเทพ", ["ไป", "กรุงเทพ"]),
        ("iPhone在北京 2024", ["iPhone", "在", "北京", "2024"]),
        ("北龘京", ["北龘京"]),
    ):
        doc = nlp(text)
        assert words(doc) == expected
        assert doc.text == text


def test_marks_and_signs_of_japanese_stay_in_their_word(tmp_path):
    pieces = ["サーバー", "佐々木", "〇", "ｻｰﾊﾞｰ", "葛", "コ", "\u3099", "བ", "ོ"]
    tokenizer = Tokenizer(Unigram([("<unk>", 0.0), ("▁", -1), *((piece, -2.0) for piece in pieces)], unk_id=0))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(tmp_path)
    nlp = spacy.blank("xx", config=CONFIG)
    nlp.tokenizer.initialize(encoder=str(tmp_path))
    for text, expected in (
        ("サーバー佐々木〇ｻｰﾊﾞｰ", ["サーバー", "佐々木", "〇", "ｻｰﾊﾞｰ"]),
        ("葛\U000e0100葛", ["葛\U000e0100", "葛"]),
        ("コ\u3099コ", ["コ\u3099", "コ"]),
        ("བོ", ["བོ"]),
        ("e\u0301葛", ["e\u0301", "葛"]),
    ):
        assert words(nlp(text)) == expected


def test_words_beside_chinese_are_cut_as_without_it(nlp):
    text = "=)/Y?😀Z 9(%😀}@0"
    assert words(nlp(text + " 在"))[:-1] == words(nlp(text))


def test_other_scripts_are_cut_as_by_spacy(nlp):
    plain = spacy.blank("xx")
    for text in ("Don't visit  U.K.-based https://a.b/c, hello!\n", "Ο Γιώργος, Київ.", "", " "):
        assert words(nlp(text)) == words(plain(text))


def test_a_tokenizer_without_pieces_leaves_all_to_the_rules():
    nlp = spacy.blank("xx", config=CONFIG)
    nlp.tokenizer.initialize()
    assert words(nlp("在北京大学")) == ["在北京大学"]


def test_rules_and_pieces_are_saved(nlp, tmp_path):
    nlp.tokenizer.rules.add_special_case("hello", [{"ORTH": "hel"}, {"ORTH": "lo"}])
    nlp.to_disk(tmp_path / "saved")
    for other in (spacy.load(tmp_path / "saved"), spacy.blank("xx", config=CONFIG).from_bytes(nlp.to_bytes())):
        assert words(other("在北京 hello")) == ["在", "北京", "hel", "lo"]
        assert [words(doc) for doc in other.pipe(["大学", "hello"])] == [["大学"], ["hel", "lo"]]


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x80", spacy.blank("xx").tokenizer.to_bytes()])
def test_what_is_no_saved_tokenizer_is_an_error_with_its_path(nlp, tmp_path, data):
    (tmp_path / "tokenizer").write_bytes(data)
    with pytest.raises(ValueError, match=r"E178.*nlp\.tokenizer.*read from .*tokenizer"):
        nlp.tokenizer.from_disk(tmp_path / "tokenizer")


def test_of_a_unigram_model_only_the_pieces_without_spaces_are_kept(nlp):
    assert "北京" in nlp.tokenizer.pieces
    assert "hello" not in nlp.tokenizer.pieces


def test_tokenizers_of_other_kinds_cut_as_well(tmp_path):
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "北": 1, "京": 2, "กรุง": 3, "##เทพ": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(tmp_path)
    nlp = spacy.blank("xx", config=CONFIG)
    nlp.tokenizer.initialize(encoder=str(tmp_path))
    assert words(nlp("กรุงเทพ")) == ["กรุง", "เทพ"]


def test_an_encoder_that_is_not_there_is_an_error(nlp, tmp_path):
    with pytest.raises(ValueError, match=r"E173.*nlp\.tokenizer.*Set \[initialize\.tokenizer\]"):
        nlp.tokenizer.initialize(encoder=str(tmp_path / "none"))


def test_the_scripts_are_those_of_the_package():
    assert xlt_ner._UNSPACED == tokens._UNSPACED


def test_it_is_initialized_by_the_config(encoder):
    nlp = spacy.blank("xx", config={**CONFIG, "initialize": {"tokenizer": {"encoder": encoder}}})
    nlp.initialize()
    assert words(nlp("在北京")) == ["在", "北京"]
    assert registry.tokenizers.get("spacy_xlt.PieceTokenizer.v1").__module__ == "xlt_ner"
