"""What attention looked at: recorders that ride along with the model, and the maps they give."""
