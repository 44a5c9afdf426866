"""Does dropout reduce overfitting?"""
