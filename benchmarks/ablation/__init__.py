"""What each part of the training mix is good for: arms that differ in it alone, trained equally."""
