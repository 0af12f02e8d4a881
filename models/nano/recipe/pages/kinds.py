"""Letters, invoices, tables, forms, charts and slides: each draws itself and says what can be asked about it.

A kind is a function (random, face, title_face) -> (Paper, kind's summary, asked); asked is a list of (question, answer, text of the cell that shows it)."""
import numpy as np

from ..seeds import choose
from .paper import Paper

FIRST = ("Anna", "Ben", "Clara", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona", "Noah", "Olga", "Paul")
LAST = ("Adams", "Brown", "Costa", "Dietrich", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Jones", "Keller", "Lopez", "Meyer", "Novak")
CITIES = ("Austin", "Berlin", "Cairo", "Dublin", "Geneva", "Lima", "Lyon", "Oslo", "Prague", "Quito", "Rome", "Sofia", "Tokyo", "Vienna")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
COMPANIES = ("Northwind", "Bluefield", "Acorn Tools", "Sunrise Foods", "Harbor Books", "Pine Labs", "Silver Print", "Delta Motors")
GOODS = ("Pens", "Paper", "Chairs", "Lamps", "Cables", "Desks", "Bags", "Cups", "Clocks", "Books", "Keys", "Tapes", "Boxes", "Shelves")
TOPICS = ("Sales", "Visitors", "Rainfall", "Members", "Orders", "Exports", "Production", "Energy use")
STREETS = ("Oak Street", "Mill Lane", "Park Road", "High Street", "Station Road", "Lake View")
SUBJECTS = ("Your booking", "Delay of delivery", "Change of address", "Invitation to the meeting", "Renewal of contract", "Lost parcel")
POINTS = ("Costs fell by {n} percent", "{n} new customers", "Launch planned for {m}", "Team grows to {n} people", "Next review in {m}",
          "Budget of {n} thousand", "Open a shop in {c}", "Train {n} employees", "Move the office to {c}")
PAGE, SLIDE = (850, 1100), (1000, 750)


def person(random):
    return f"{choose(random, FIRST)} {choose(random, LAST)}"


def date(random):
    day, month, year = int(random.integers(1, 29)), choose(random, MONTHS), int(random.integers(2015, 2030))
    return f"{day} {month} {year}" if random.random() < .5 else f"{month} {day}, {year}"


def several(random, options, count):
    return [options[i] for i in random.permutation(len(options))[:count]]


def letter(random, face, title_face):
    paper, size = Paper(PAGE, face), int(random.integers(17, 23))
    sender, receiver, when, subject = person(random), person(random), date(random), choose(random, SUBJECTS)
    number, city, deadline = int(random.integers(1000, 99999)), choose(random, CITIES), date(random)
    x, y = int(random.integers(70, 120)), int(random.integers(60, 110))
    address = f"{int(random.integers(1, 200))} {choose(random, STREETS)}"
    for text in (sender, address, city):
        paper.write(x, y, text, size)
        y += size * 1.4
    paper.write(PAGE[0] - x, y, when, size, "r")
    y += size * 2.6
    paper.write(x, y, f"Subject: {subject}", size + 2, bold=True)
    y += size * 3
    paper.write(x, y, f"Dear {receiver},", size)
    body = choose(random, ("thank you for your message about case {n}. We have looked into it and will answer in full by {d}.",
                           "we write to you about case {n}. Please send us the signed form by {d} so that we can go on.",
                           "your request has the number {n}. If we hear nothing from you by {d}, we will close it."))
    y = paper.paragraph(x, y + size * 2, body.format(n=number, d=deadline), size, PAGE[0] - 2 * x)
    y = paper.paragraph(x, y + size, "Do not hesitate to call our office if anything is unclear. We are glad to help.", size, PAGE[0] - 2 * x)
    paper.write(x, y + size * 2, "Yours sincerely,", size)
    paper.write(x, y + size * 4.5, sender, size)
    return paper, f"a letter from {sender} to {receiver} about {subject.lower()}", [
        ("Who wrote the letter?", sender, sender), ("To whom is the letter addressed?", receiver, f"Dear {receiver},"),
        ("What is the date of the letter?", when, when), ("What is the subject of the letter?", subject, f"Subject: {subject}"),
        ("What is the number of the case?", str(number), str(number)), ("In which city does the sender live?", city, city),
        ("What is the sender's street?", address, address)]


def table_rows(paper, x, y, columns, rows, size, head, lines, shaded):
    """Writes a table; columns are (x, anchor). Returns the y below it."""
    for i, row in enumerate([head] + rows):
        if shaded and i % 2 == 1:
            paper.draw.rectangle((x - 8, y - 4, columns[-1][0] + 12, y + size * 1.4), fill=(232, 236, 242))
        for (at, anchor), text in zip(columns, row):
            paper.write(at, y, text, size, anchor, bold=i == 0)
        y += size * 1.8
        if lines or i == 0:
            paper.draw.line((x - 8, y - 6, columns[-1][0] + 12, y - 6), fill=(120, 120, 120))
    return y


def invoice(random, face, title_face):
    paper, size = Paper(PAGE, face), int(random.integers(17, 22))
    company, customer, when, due = choose(random, COMPANIES), person(random), date(random), date(random)
    number = f"{choose(random, 'ABCDRX')}-{int(random.integers(1000, 99999))}"
    x = int(random.integers(60, 100))
    paper.write(x, 60, company, size + 14, face=title_face, bold=True)
    paper.write(PAGE[0] - x, 66, choose(random, ("INVOICE", "Invoice", "Bill")), size + 8, "r")
    y = 150
    for label, value in several(random, [("Invoice number", number), ("Date", when), ("Due date", due), ("Customer", customer)], 4):
        paper.write(x, y, f"{label}:", size)
        paper.write(x + 210, y, value, size)
        y += size * 1.6
    goods = several(random, GOODS, int(random.integers(3, 7)))
    counts = [int(random.integers(1, 60)) for _ in goods]
    prices = [round(float(random.uniform(1, 90)), 2) for _ in goods]
    rows = [[g, str(n), f"{p:.2f}", f"{n * p:,.2f}"] for g, n, p in zip(goods, counts, prices)]
    columns = [(x, "l"), (x + 340, "r"), (x + 500, "r"), (PAGE[0] - x, "r")]
    y = table_rows(paper, x, y + 40, columns, rows, size, ["Item", "Quantity", "Price", "Amount"], random.random() < .5, random.random() < .4)
    total = f"{sum(n * p for n, p in zip(counts, prices)):,.2f}"
    paper.write(x + 500, y + 20, "Total", size + 2, "r", bold=True)
    paper.write(PAGE[0] - x, y + 20, total, size + 2, "r", bold=True)
    i = int(random.integers(len(goods)))
    return paper, f"an invoice from {company} to {customer} over {total}", [
        ("What is the invoice number?", number, number), ("What is the total?", total, total), ("When is the payment due?", due, due),
        ("What is the date of the invoice?", when, when), ("Who is the customer?", customer, customer),
        ("Which company sent the invoice?", company, company), (f"How many {goods[i].lower()} were bought?", str(counts[i]), str(counts[i])),
        (f"What is the price of {goods[i].lower()}?", rows[i][2], rows[i][2]), (f"What is the amount for {goods[i].lower()}?", rows[i][3], rows[i][3])]


def table(random, face, title_face):
    paper, size = Paper(PAGE, face), int(random.integers(17, 23))
    x, topic = int(random.integers(60, 90)), choose(random, TOPICS)
    years = [str(int(random.integers(2005, 2020)) + i) for i in range(int(random.integers(2, 5)))]
    years = [str(int(years[0]) + i) for i in range(len(years))]
    names = several(random, CITIES, int(random.integers(4, 9)))
    numbers = random.permutation(900)[:len(names) * len(years)].reshape(len(names), -1) + 20
    title = f"{topic} by city"
    paper.write(x, 80, title, size + 9, face=title_face, bold=True)
    columns = [(x, "l")] + [(x + 240 + 130 * i, "r") for i in range(len(years))]
    table_rows(paper, x, 170, columns, [[n] + [str(v) for v in row] for n, row in zip(names, numbers)], size, ["City"] + years,
               random.random() < .5, random.random() < .5)
    r, c = int(random.integers(len(names))), int(random.integers(len(years)))
    best = int(numbers[:, c].argmax())
    return paper, f"a table of {topic.lower()} by city", [
        (f"What is the value of {names[r]} in {years[c]}?", str(numbers[r, c]), str(numbers[r, c])),
        (f"Which city has the highest value in {years[c]}?", names[best], names[best]), ("What is the title of the table?", title, title),
        (f"Which city had {numbers[r, c]} in {years[c]}?", names[r], names[r]), ("What is the last year in the table?", years[-1], years[-1])]


def form(random, face, title_face):
    paper, size = Paper(PAGE, face), int(random.integers(17, 22))
    x, y = int(random.integers(60, 100)), 170
    title = choose(random, ("Registration form", "Order form", "Membership application", "Insurance claim", "Travel request"))
    paper.write(PAGE[0] / 2, 70, title, size + 10, "m", face=title_face, bold=True)
    fields = [("Name", person(random)), ("City", choose(random, CITIES)), ("Date of birth", date(random)),
              ("Phone", " ".join(str(int(n)) for n in random.integers(100, 999, 3))), ("Street", f"{int(random.integers(1, 99))} {choose(random, STREETS)}"),
              ("Department", choose(random, TOPICS)), ("Reference", f"{choose(random, 'KLMN')}{int(random.integers(100, 9999))}")]
    fields = several(random, fields, int(random.integers(4, 8)))
    hand = face if random.random() < .6 else title_face
    for label, value in fields:
        paper.write(x, y, label, size)
        paper.draw.rectangle((x + 220, y - 8, PAGE[0] - x, y + size * 1.5), outline=(110, 110, 110))
        paper.write(x + 234, y, value, size, face=hand, ink=(20, 30, 110))
        y += size * 2.6
    ticked = int(random.integers(2))
    paper.write(x, y + 10, "Newsletter", size)
    for i, text in enumerate(("yes", "no")):
        left = x + 240 + i * 160
        paper.draw.rectangle((left, y + 12, left + size, y + 12 + size), outline=(60, 60, 60), width=2)
        if i == ticked:
            paper.draw.line((left, y + 12, left + size, y + 12 + size), fill=(10, 20, 120), width=3)
            paper.draw.line((left + size, y + 12, left, y + 12 + size), fill=(10, 20, 120), width=3)
        paper.write(left + size + 12, y + 10, text, size)
    return paper, f"a filled-in form with the title {title}", [
        (f"What is written under {label.lower()}?", value, value) for label, value in fields] + [
        ("What is the title of the form?", title, title), ("Is the newsletter wanted?", ("yes", "no")[ticked], ("yes", "no")[ticked])]


def axes(paper, left, top, right, bottom, high, size):
    """Axes with values at the left. Returns value -> y."""
    paper.draw.line((left, top, left, bottom), fill=(60, 60, 60), width=2)
    paper.draw.line((left, bottom, right, bottom), fill=(60, 60, 60), width=2)
    step = high // 4
    for k in range(5):
        y = bottom - (bottom - top) * k / 4
        paper.draw.line((left, y, right, y), fill=(214, 214, 214))
        paper.write(left - 10, y - size * .6, str(step * k), size, "r")
    return lambda value: bottom - (bottom - top) * value / high


def chart(random, face, title_face, bars):
    paper, size = Paper(SLIDE, face), int(random.integers(16, 20))
    topic, count = choose(random, TOPICS), int(random.integers(4, 8))
    names = several(random, CITIES, count) if bars else [m[:3] for m in MONTHS[:count]]
    high = int(choose(random, (40, 80, 200, 400, 1000)))
    values = [int(v) for v in random.permutation(high - high // 10)[:count] + high // 20]
    title = f"{topic} by {'city' if bars else 'month'}"
    paper.write(SLIDE[0] / 2, 40, title, size + 10, "m", face=title_face, bold=True)
    left, top, right, bottom = 120, 130, 940, 640
    to_y = axes(paper, left, top, right, bottom, high, size)
    color = tuple(int(c) for c in random.integers(20, 200, 3))
    labelled = random.random() < .65
    step = (right - left) / count
    places = [(left + step * (i + .5), to_y(v)) for i, v in enumerate(values)]
    for (x, y), name, value in zip(places, names, values):
        if bars:
            paper.draw.rectangle((x - step * .3, y, x + step * .3, bottom), fill=color)
        else:
            paper.draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=color)
        if labelled:
            paper.write(x, y - size * 1.6, str(value), size, "m")
        paper.write(x, bottom + 12, name, size, "m")
    if not bars:
        paper.draw.line(places, fill=color, width=4)
    best, least, i = int(np.argmax(values)), int(np.argmin(values)), int(random.integers(count))
    asked = [("What is the title of the chart?", title, title), ("Which has the highest value?", names[best], names[best]),
             ("Which has the lowest value?", names[least], names[least]), ("How many values are shown?", str(count), "")]
    if labelled:
        asked.append((f"What is the value of {names[i]}?", str(values[i]), str(values[i])))
    return paper, f"a {'bar' if bars else 'line'} chart of {title.lower()}", asked


def bar_chart(random, face, title_face):
    return chart(random, face, title_face, True)


def line_chart(random, face, title_face):
    return chart(random, face, title_face, False)


def slide(random, face, title_face):
    dark = random.random() < .35
    ink = (238, 238, 240) if dark else (24, 26, 34)
    ground = tuple(int(c) for c in (random.integers(10, 60, 3) if dark else random.integers(228, 256, 3)))
    paper, size = Paper(SLIDE, face, ink, ground), int(random.integers(24, 32))
    title = f"{choose(random, TOPICS)} {choose(random, ('report', 'plan', 'review', 'outlook'))} {int(random.integers(2018, 2030))}"
    speaker = person(random)
    paper.write(70, 70, title, size + 16, face=title_face, bold=True)
    paper.draw.line((70, 70 + size * 2.6, 930, 70 + size * 2.6), fill=ink, width=3)
    points = [text.format(n=int(random.integers(3, 90)), m=choose(random, MONTHS), c=choose(random, CITIES))
              for text in several(random, POINTS, int(random.integers(3, 6)))]
    y = 210
    for point in points:
        paper.draw.ellipse((80, y + size * .4, 80 + size * .4, y + size * .8), fill=ink)
        paper.write(80 + size, y, point, size)
        y += size * 2.2
    paper.write(930, 690, speaker, size - 6, "r")
    i = int(random.integers(len(points)))
    ordinal = ("first", "second", "third", "fourth", "fifth")[i]
    return paper, f"a slide with the title {title}", [
        ("What is the title of the slide?", title, title), ("Who is the speaker?", speaker, speaker), (f"What is the {ordinal} point?", points[i], points[i]),
        ("How many points are listed?", str(len(points)), "")]


KINDS = {"letter": letter, "invoice": invoice, "table": table, "form": form, "bar chart": bar_chart, "line chart": line_chart, "slide": slide}
# Asked of pages where no answer stands.
ABSENT = ("What is the name of the hospital?", "What is the flight number?", "What is the account balance?", "Which team won the game?",
          "What is the licence plate?", "What is the room temperature?", "How old is the author?", "What is the password?")
NOT_FOUND = "not found"
