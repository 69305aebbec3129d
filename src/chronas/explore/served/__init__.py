"""The script that streamlit runs, alone in its folder, because streamlit lets that folder shadow other modules."""
