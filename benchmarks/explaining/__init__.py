"""How well do signals of a young run tell what its rate will come to?"""
