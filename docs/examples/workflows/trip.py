"""A saga: flight, hotel and car are booked; where one can't be, the others are cancelled, the newest first."""

from datetime import date

from pydantic import BaseModel

from onward import App, Context, NotPerformed, workflow

BOOKED: list[str] = []  # stands for the other companies
CARS = {"Oslo": 1, "Rome": 0}


class Trip(BaseModel):
    city: str
    day: date


def book_flight(city: str, day: date) -> str:
    return _booked(f"flight to {city} on {day}")


def book_hotel(city: str, day: date) -> str:
    return _booked(f"hotel in {city} on {day}")


def book_car(city: str, day: date) -> str:
    if not CARS[city]:
        raise NotPerformed(f"there is no car in {city}")  # certain: so it has failed, and is not in doubt
    return _booked(f"car in {city} on {day}")


def _booked(what: str) -> str:
    BOOKED.append(what)
    return what


def cancel_booking(result: str) -> None:
    """Take back what a step came to."""
    BOOKED.remove(result)


@workflow
async def book(ctx: Context, trip: Trip) -> list[str]:
    return [
        await ctx.step(book_flight, trip.city, trip.day, undo=cancel_booking),
        await ctx.step(book_hotel, trip.city, trip.day, undo=cancel_booking),
        await ctx.step(book_car, trip.city, trip.day, undo=cancel_booking),
    ]


app = App(programs=[book])
