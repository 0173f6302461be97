"""The screen: streamlit lives here and in pages/, and nowhere else."""
