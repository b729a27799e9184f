"""The asyncio client of Stagewire."""
