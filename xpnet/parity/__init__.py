"""How far may two correct backends differ, and how far do they?"""
