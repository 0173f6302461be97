"""Pictures: data in, Plotly figure (or the browser code that keeps one alive) out. No streamlit."""
