"""Generated texts for the laws of the URL parser."""

from hypothesis import strategies as st

WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
LOOSE = st.text(
    st.sampled_from("ab1@:/?#%&=,.[]+ 2ä\\~") | st.characters(codec="utf-8", max_codepoint=0x2FF), max_size=30
)
"""Text full of what a URL gives a meaning to."""
