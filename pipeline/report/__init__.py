"""A run as one page that a person can judge a model by: pictures, figures and words."""
