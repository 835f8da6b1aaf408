"""How does a FastAPI service use quorate?"""
