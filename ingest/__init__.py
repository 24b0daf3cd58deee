"""All that crosses the process boundary: models, text and labels coming in, the graph going out."""
