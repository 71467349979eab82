"""What a study says, drawn: tables for the terminal, figures, and the page that holds both."""
