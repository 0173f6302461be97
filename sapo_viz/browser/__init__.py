"""All JavaScript and CSS, a folder per figure, and the linker that puts a figure's modules together."""
