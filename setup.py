"""What setup.cfg can't say: the page of the package index, where the README's relative links would lead nowhere."""

import re
from pathlib import Path

from setuptools import setup

text = Path(__file__).with_name("README.md").read_text(encoding="utf8")
# Pictures are left out; of a link its file is named, which the source distribution has
text = re.sub(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n\n", "", text, flags=re.MULTILINE)
text = re.sub(r"\[([^\]]*)\]\((?!https?:|#)([^)#]*)[^)]*\)", r"\1 (`\2`)", text)

setup(long_description=text)
