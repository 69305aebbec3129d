"""The script that streamlit runs. It is alone in its folder, because that folder can shadow other modules."""
