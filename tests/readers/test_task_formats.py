"""Files of relation extraction and of question answering."""

import json

import pytest

from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import read_corpus
from spacy_xlt.span_links import span_at

SEMEVAL = """1	"The <e1>system</e1> has its greatest application in an array of <e2>antenna</e2>."
Component-Whole(e2,e1)
Comment: Not a collection.

2	"The <e1>child</e1> was carefully wrapped into the <e2>cradle</e2>."
Other
Comment:
"""
RELX = '17647\t"L\'<e1> Sacramento Heatwave </e1> est basée en <e2> Californie </e2>."\norg:state(e1,e2)\n\n\n'


def read(tmp_path, text, format, **settings):
    path = tmp_path / "file.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf8")
    return list(read_corpus(path, **{"format": format, "lang": "en", **settings}))


def named(doc):
    return [(span_at(doc, k.head).text, k.label, span_at(doc, k.child).text) for k in doc._.xlt_links.links]


def test_marked_text_has_two_spans_and_a_directed_link(tmp_path):
    first, second = read(tmp_path, SEMEVAL, "marked")
    assert first.text == "The system has its greatest application in an array of antenna."
    assert [(span.text, span.label_) for span in first.spans["sc"]] == [("system", "e1"), ("antenna", "e2")]
    assert named(first) == [("antenna", "Component-Whole", "system")]
    assert named(second) == [] and second._.xlt_links.complete
    assert second.user_data["meta"] == {"id": "2", "relation": "Other"}
    assert missing_ranges(first) == [(0, len(first))]


def test_spaces_inside_marks_are_not_the_text_s(tmp_path):
    (doc,) = read(tmp_path, RELX, "marked", lang="fr", spans_key="rel")
    assert doc.text == "L'Sacramento Heatwave est basée en Californie."
    assert [span.text for span in doc.spans["rel"]] == ["Sacramento Heatwave", "Californie"]


def test_text_without_words_in_a_mark_is_left_out_with_its_line(tmp_path):
    with pytest.warns(XltWarning, match="W562.*line 1.*no words between"):
        docs = read(tmp_path, '"a <e1> </e1> b <e2>c</e2>"\nr(e1,e2)\n\n' + RELX, "marked")
    assert len(docs) == 1
    with pytest.raises(XltError, match="E574.*line 1.*no <e1>.*--format marked"):
        read(tmp_path, "plain text\nOther\n", "marked")
    with pytest.raises(XltError, match="E574.*line 1.*no line with its relation"):
        read(tmp_path, "<e1>a</e1> <e2>b</e2>\n\nOther\n", "marked")


def example(**more):
    return {
        "id": "61b3a5c8c9a882dcfcd2", "docid": "AFP_1", "relation": "org:founded_by",
        "token": ["Ada", "founded", "Red", "Hat", "-LRB-", "RH", "-RRB-"], "subj_start": 2, "subj_end": 3,
        "obj_start": 0, "obj_end": 0, "subj_type": "ORGANIZATION", "obj_type": "PERSON", **more,
    }  # fmt: skip


def test_tacred_has_a_link_from_subject_to_object(tmp_path):
    first, second = read(tmp_path, [example(), example(relation="no_relation")], "tacred")
    assert named(first) == [("Red Hat", "org:founded_by", "Ada")]
    assert [span.label_ for span in first.spans["sc"]] == ["ORGANIZATION", "PERSON"]
    assert first[4].text == "(" and first.user_data["meta"]["docid"] == "AFP_1"
    assert named(second) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not an array"),
        ("[", "no JSON"),
        ([example(), {"token": ["a"]}], "example 2: the example lacks 'subj_start'"),
    ],
)
def test_what_is_no_example_of_tacred_is_an_error(tmp_path, text, message):
    with pytest.raises(XltError, match=f"E574.*{message}"):
        read(tmp_path, text, "tacred")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"subj_end": 9}, "subj_end 9, and there are 7 tokens"),
        ({"subj_start": 3, "subj_end": 2}, "subj_start is 3"),
        ({"subj_start": 1, "subj_end": 1, "obj_start": 1, "obj_end": 1}, "per:x leads from a span to itself"),
    ],
)
def test_examples_of_tacred_without_two_spans_are_left_out(tmp_path, changed, reason):
    wrong = {**example(**changed), "relation": "per:x"}
    with pytest.warns(XltWarning, match=f"W562 *.*line 2, where .*{reason}"):
        assert len(read(tmp_path, [example(), wrong, example()], "tacred")) == 2
    with pytest.warns(XltWarning, match="W562"), pytest.raises(XltError, match="E503"):
        read(tmp_path, [wrong], "tacred")


@pytest.mark.parametrize("relation", ["employs(e1,e1)", "employs(e1,e3)"])
def test_a_relation_of_marked_text_that_is_not_between_its_spans_is_left_out(tmp_path, relation):
    text = f"<e1>Ada</e1> left <e2>IBM</e2>\n{relation}\n\n" + RELX
    with pytest.warns(XltWarning, match="W562.*line 1, where the relation .* does not lead from e1 to e2"):
        assert len(read(tmp_path, text, "marked")) == 1


CONTEXT = "Ω: Ada was born in 1815. She died in London."


def squad(*questions, context=CONTEXT):
    return {"version": "1.1", "data": [{"title": "Ada", "paragraphs": [{"context": context, "qas": list(questions)}]}]}


def question(id, *answers, **more):
    asked = {"id": id, "question": f"What is {id}?", **more}
    return {**asked, "answers": [{"text": text, "answer_start": start} for start, text in answers]}


def test_answers_are_spans_with_the_question_s_id_and_questions_are_documents(tmp_path):
    asked = [question("q1", (19, "1815"), (19, "1815")), question("q2", (37, "London"), (34, "in London"))]
    asked.append(question("q3", is_impossible=True))
    paragraph, *questions = read(tmp_path, squad(*asked), "squad")
    assert [(span.text, span.label_, span.id_) for span in paragraph.spans["answers"]] == [
        ("1815", "answer", "q1"),
        ("London", "answer", "q2"),
        ("in London", "answer", "q2"),
    ]
    assert paragraph.user_data["meta"] == {"paragraph": 0, "title": "Ada"}
    assert [doc.text for doc in questions] == ["What is q1?", "What is q2?", "What is q3?"]
    assert [doc.user_data["meta"]["possible"] for doc in questions] == [True, True, False]
    assert questions[1].user_data["meta"]["question"] == "q2"


def test_an_answer_that_does_not_stand_at_its_place_is_said_and_the_rest_is_kept(tmp_path):
    with pytest.warns(XltWarning, match="W567.*paragraph 1: an answer '1815'"):
        paragraph, *questions = read(tmp_path, squad(question("q1", (3, "1815"), (19, "1815"))), "squad")
    assert len(paragraph.spans["answers"]) == 1 and len(questions) == 1


def test_offsets_in_bytes_are_refused(tmp_path):
    shifted = squad(question("q1", (20, "1815")), question("q2", (38, "London")))
    with pytest.raises(XltError, match="E574.*UTF-8 bytes.*code points"):
        read(tmp_path, shifted, "squad")


def test_what_is_no_squad_file_is_an_error(tmp_path):
    for text, message in (("[]", "as SQuAD's files have"), ("{", "no JSON"), ({"data": [{"a": 1}]}, "'paragraphs'")):
        with pytest.raises(XltError, match=f"E574.*{message}"):
            read(tmp_path, text, "squad")
    with pytest.raises(XltError, match="E503"):
        read(tmp_path, {"data": []}, "squad")


def test_texts_have_their_labels_as_categories_and_not_the_others_of_the_file(tmp_path):
    docs = read(tmp_path, "text\tlabel\nHe won the cup .\tsports\nTaxes rise\tpolitics|economy\n\n", "texts")
    assert [(doc.text, doc.cats) for doc in docs] == [
        ("He won the cup .", {"sports": 1.0, "politics": 0.0, "economy": 0.0}),
        ("Taxes rise", {"sports": 0.0, "politics": 1.0, "economy": 1.0}),
    ]
    assert [doc.text for doc in read(tmp_path, "label\ttext\nA\tb c\n", "texts")] == ["b c"]
    with pytest.raises(XltError, match="E574.*line 2.*'only text'.*1 columns"):
        read(tmp_path, "a\tB\nonly text\n", "texts")
    with pytest.raises(XltError, match="E503"):
        read(tmp_path, "text\tlabel\n", "texts")


PUBTATOR = """1|t|Naloxone and clonidine
1|a|Clonidine lowers blood pressure. Naloxone does not.
1\t0\t8\tNaloxone\tChemical\tD009270
1\t13\t22\tclonidine\tChemical\tD003000
1\t23\t32\tClonidine\tChemical\tD003000
1\t40\t54\tblood pressure\tDisease\tD006973|D001794
1\t56\t64\tNaloxone\tChemical\tD009270
1\tCID\tD003000\tD006973
1\tCID\tD003000\tD000000

2|t|Aspirin
2|a|
"""


def test_pubtator_has_mentions_with_identifiers_and_links_between_the_closest(tmp_path):
    with pytest.warns(XltWarning, match="W567.*line 9: an end that is not there: CID D003000 D000000"):
        first, second = read(tmp_path, PUBTATOR, "pubtator")
    assert first.text.startswith("Naloxone and clonidine\nClonidine lowers")
    assert [(span.text, span.kb_id_) for span in first.spans["sc"]][2:4] == [
        ("Clonidine", "D003000"),
        ("blood pressure", "D006973|D001794"),
    ]
    assert named(first) == [("Clonidine", "CID", "blood pressure")]
    assert first.user_data["meta"] == {"id": "1"} and named(second) == []


def test_a_mention_that_is_not_at_its_place_is_an_error(tmp_path):
    with pytest.raises(XltError, match="E574.*line 2.*the mention is 'Ada'"):
        read(tmp_path, "1|t|Hello\n1\t1\t4\tAda\tPER\tx\n", "pubtator")
    with pytest.raises(XltError, match="E574.*line 1.*no text, mention"):
        read(tmp_path, "nothing\n", "pubtator")


def test_what_the_offsets_of_mentions_count_is_recognized_and_refused(tmp_path):
    mention = "1\t{}\t{}\tAda\tPER\tx\n".format
    assert len(read(tmp_path, "1|t|😀 é Ada\n" + mention(4, 7), "pubtator")) == 1
    for offsets, unit in (((5, 8), "UTF-16 units"), ((8, 11), "UTF-8 bytes")):
        with pytest.raises(XltError, match=f"E574.*line 2: its offsets are {unit}; write them in code points"):
            read(tmp_path, "1|t|😀 é Ada\n" + mention(*offsets), "pubtator")


def test_a_relation_of_a_mention_to_itself_is_said(tmp_path):
    text = "1|t|Ada\n1\t0\t3\tAda\tPER\tx\n1\tknows\tx\tx\n"
    with pytest.warns(XltWarning, match="W567.*line 3: from a span to itself: knows x x"):
        (doc,) = read(tmp_path, text, "pubtator")
    assert named(doc) == []


def test_intents_are_categories_and_slots_entities(tmp_path):
    text = "# text = wake at nine\n# intent = alarm/set\n1\twake\talarm/set\tO\n2\tat\talarm/set\tO\n"
    text += "3\tnine\talarm/set\tB-datetime\n\n# text = stop\n# intent = alarm/cancel\n1\tstop\talarm/cancel\tO\n"
    first, second = read(tmp_path, text, "conll", token_col=2, tag_col=4)
    assert (first.cats, second.cats) == ({"alarm/set": 1.0}, {"alarm/cancel": 1.0})
    assert [(ent.text, ent.label_) for ent in first.ents] == [("nine", "datetime")]
