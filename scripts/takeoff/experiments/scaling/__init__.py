"""Do older methods plateau with data while larger networks go on?"""
