"""Adapters to Google Cloud and Gemini. Google's packages are imported where they are used, never before."""
