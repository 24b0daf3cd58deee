"""Sentence templates of the dated notes: written for this project, in eight kinds of note.

Slots: ``{wd}`` weekday, ``{mon}`` month, ``{date}`` day and month (a signed number moves them:
``{wd:+2}`` days, ``{mon:-1}`` months, ``{date:+7}`` days), ``{year}``, ``{clock}``, ``{n}``, three people, a
place, and `FILLERS`.
"""

from __future__ import annotations

NAMES = (
    "Anna", "Bruno", "Clara", "Daniel", "Edith", "Farid", "Greta", "Hassan", "Ingrid", "Jonas", "Katya",
    "Liam", "Mina", "Nora", "Oskar", "Priya", "Quentin", "Rosa", "Samuel", "Tomas", "Ursula", "Viktor",
    "Wanda", "Yusuf", "Mrs Hale", "Mr Okafor", "Dr Lindqvist", "Professor Amari", "Captain Reyes",
    "Miss Tanaka",
)  # fmt: skip
PLACES = (
    "the harbour", "the parish hall", "the old mill", "the station", "the botanical garden", "the library",
    "the observatory", "the north field", "the workshop", "the school", "the market square", "the clinic",
    "Larkfield", "Port Ellen", "Greywater", "Saltmarsh", "Ashby", "Kestrel Hill", "Marrow Bay",
    "Upper Fenwick",
)  # fmt: skip
FILLERS: dict[str, tuple[str, ...]] = {
    "weather": (
        "rain", "fog", "frost", "a hard wind", "clear sky", "thunder", "light snow", "drizzle", "warm sun",
        "heavy cloud",
    ),
    "thing": (
        "the pump", "the roof", "the new boat", "the printing press", "the east wall", "the telescope",
        "the kitchen", "the orchard gate", "the piano", "the boiler", "the archive", "the bridge",
    ),
    "crop": (
        "beans", "barley", "early potatoes", "apples", "winter wheat", "plums", "onions", "lavender", "hay",
        "squash", "cherries", "leeks",
    ),
    "task": (
        "the accounts", "the survey", "the catalogue", "the second draft", "the inventory",
        "the translation", "the budget", "the timetable", "the annual report", "the repairs",
    ),
    "mood": (
        "tired but content", "uneasy", "in good spirits", "quiet", "restless", "grateful", "a little lost",
        "hopeful", "impatient", "calm",
    ),
    "event": (
        "the spring concert", "the regatta", "the book fair", "the open day", "the harvest supper",
        "the chess tournament", "the lantern walk", "the flower show", "the reunion", "the charity run",
    ),
    "group": (
        "the choir", "the committee", "the evening class", "the football team", "the lab group",
        "the trustees", "the sailing club", "the reading circle", "the volunteers", "the board",
    ),
    "food": (
        "soup", "rye bread", "a plum cake", "roast chicken", "lentils", "pancakes", "smoked fish",
        "apple pie", "dumplings", "a pot of tea",
    ),
}  # fmt: skip

_DIARY = (
    "woke early on {wd} to {weather} and wrote until {clock}.",
    "{wd} was lost to errands, but by {wd:+1} I had finished {task}.",
    "it is only {date} and already it feels like {mon:+1}.",
    "{person} came by on {wd} with {food}, and we talked about the summer of {year}.",
    "I have not slept well since {mon:-1}.",
    "on {wd} evening I walked to {place} and back, {mood}.",
    "every {wd} this month has brought {weather}; I begin to expect it.",
    "{other} leaves on {date:+9} and will not be back before {mon:+2}.",
    "a letter from {third}, dated {date:-6}, arrived only on {wd}.",
    "nothing happened on {wd}, and I was glad of it.",
    "by {wd:+2} the house smelled of {food}.",
    "this time last year, in early {mon}, we were still repairing {thing}.",
    "I promised {person} that I would be done by the end of {mon}, and today is {date}.",
    "{mon} always makes me {mood}; I could not say why.",
    "the days between {wd} and {wd:+3} ran together.",
    "dreamt of {place} again on {wd} night.",
    "went to bed at {clock} on {wd}, {mood}, with the window open.",
    "if {mon} is kind, we will go to {place} before {mon:+1} is out.",
)
_MINUTES = (
    "{group} met at {place} on {wd}, {date} {year}, with {n} members present.",
    "the minutes of the meeting held in {mon:-1} were read and approved.",
    "{person} reported that {task} would be ready by {wd:+5}.",
    "it was agreed to postpone {event} from {mon} to {mon:+1}.",
    "{other} asked whether the hall was free on the second {wd} of the month.",
    "the treasurer noted that receipts for {mon:-1} were lower than in {mon:-2}.",
    "a vote was taken at {clock}: {n} in favour, two against.",
    "repairs to {thing} have been delayed since {date:-20} and should start on {wd:+3}.",
    "{third} will write to the council before {date:+14}.",
    "the next meeting will be on {wd:+7}, {date:+7}, at {clock}.",
    "subscriptions are due at the end of {mon}, as they were last year.",
    "members were reminded that the office is closed on {wd:+1} afternoons.",
    "the chair proposed that {event} be held on a {wd:+2} in {mon:+1} rather than on a {wd:+4}.",
    "no objection was received by {date:-2}, so the plan stands.",
    "it was noted that attendance is best between {mon:+8} and {mon:+11}.",
    "{person} and {other} were thanked for their work on {event} in {mon:-3}.",
)
_LOG = (
    "{wd}, {clock}: {weather} over {place}, pressure falling.",
    "{date}: {n} boxes received, two damaged, all entered before {clock}.",
    "reading taken on {wd} was {n} units above that of {wd:-1}.",
    "{thing} stopped at {clock} on {wd} and was running again by {wd:+1} morning.",
    "{person} relieved {other} on {wd} night.",
    "the lowest level since {mon:-4} was recorded on {date}.",
    "no entry for {wd}; {weather} all day.",
    "inspection of {thing} is set for the first {wd} in {mon:+1}.",
    "compared with the {mon:-1} figures, output is up by {n} per cent.",
    "spare parts ordered on {date:-12} came on {wd}.",
    "{n} visitors signed the book between {wd} and {wd:+2}.",
    "the average for {mon} stands at {n}, against {n} for {mon:-1}.",
    "{third} tested {thing} twice on {wd} and found nothing wrong.",
    "from {date} the watch changes at {clock} instead of noon.",
    "{wd} to {wd:+4}: routine work only.",
    "lamps cleaned on {wd}, ropes on {wd:+1}, stores counted on {wd:+2}.",
    "the gauge was last set in {mon:-6} and must be set again by {mon:+6}.",
)
_LETTER = (
    "your letter of {date:-11} reached me on {wd}, and I read it twice.",
    "we hope to travel in {mon:+1}, or in {mon:+2} if {thing} is not finished.",
    "could you let me know before {wd:+4} whether {group} still needs {n} chairs?",
    "{person} is well again after a poor {mon:-1}.",
    "we had {weather} from {wd} until {wd:+3}, and the road to {place} was closed.",
    "{other} will be in town from {date:+5} to {date:+12} and asks after you.",
    "I still think of that {wd} in {mon:-5} when we missed the last train.",
    "the children go back to school in {mon:+1}, and the house will be quiet.",
    "please do not trouble to send {food}; it would not keep past {wd:+2}.",
    "the rent is paid through {mon:+3}.",
    "I enclose the plan that {third} drew on {date:-4}.",
    "come on a {wd:+1} if you can, since {wd:+2} is market day.",
    "the doctor sees me again on {date:+16}, a {wd:+16}.",
    "it has been a slow {mon}, though {wd} was lively enough.",
    "{event} was moved to {date:+21}, as you will have heard.",
    "after {mon:+2} we shall have more time, I hope.",
)
_CALENDAR = (
    "{wd:+1}, {date:+1}: {group} at {place}, {clock}.",
    "on {date:+3} the library opens late, and on {wd:+4} it does not open at all.",
    "{event} takes place on {wd:+2}, {date:+2}, whatever the weather.",
    "tickets for the {mon:+1} performances go on sale on {date}.",
    "there are no classes between {date:+10} and {date:+24}.",
    "the swimming pool closes for the whole of {mon:+1} and opens again in {mon:+2}.",
    "collections are on {wd}, except in {mon:+2}, when they are on {wd:+1}.",
    "applications must arrive by {date:+30}; late ones wait until {mon:+6}.",
    "guided walks start from {place} every {wd} and {wd:+3} at {clock}.",
    "{person} speaks about {thing} on the third {wd:+2} of {mon}.",
    "the ferry runs daily from {mon:+4} to {mon:+9}, and on {wd} and {wd:+5} in other months.",
    "remember to return the forms on {wd:+6}.",
    "the exhibition ends on {date:+18}, not in {mon:+2} as printed.",
    "from {mon} to {mon:+3} the market is held on {wd}, not {wd:+1}.",
    "half the places for {wd:+5} were taken by {date:-3}.",
    "the bus to {place} leaves at {clock} on {wd:+5} and {wd:+6}.",
)
_GARDEN = (
    "{crop} can be sown from late {mon:+6} until the middle of {mon:+7}.",
    "we lifted the last {crop} on {wd}, {date}, in {weather}.",
    "the first blossom came in {mon}, two weeks earlier than in {year}.",
    "{person} pruned the {crop} on {wd} and burned the cuttings on {wd:+1}.",
    "there was frost on the morning of {date}, and again on {wd:+2}.",
    "water every {wd} and {wd:+3} while the dry spell lasts.",
    "{crop} planted in {mon:-3} are ready now; those from {mon:-2} need longer.",
    "in {mon} the beds by {place} get no sun before {clock}.",
    "mulch before {mon:+1}, and leave the {crop} alone until {mon:+3}.",
    "a dry {mon:-1} followed by a wet {mon} ruined the {crop}.",
    "the soil was still too cold on {date}, so sowing waits for {wd:+6}.",
    "{other} sells {crop} at the {wd} market all through {mon}.",
    "by {date:+20} the nets should be off the {crop}.",
    "swallows were seen over {place} on {wd}; last year they came in {mon:-1}.",
    "of all months {mon} asks the most of a gardener, and {mon:+6} the least.",
    "order seed in {mon:+3}, for by {mon:+4} the good kinds are gone.",
)
_NEWS = (
    "a fire broke out at {place} late on {wd}, and {n} people were led to safety.",
    "the council said on {wd} that work on {thing} would begin in {mon:+1}.",
    "prices rose in {mon:-1} for the first time since {mon:-7}.",
    "the court will hear the case on {date:+19}.",
    "{person}, who took office in {mon:-8}, told reporters on {wd} that talks had gone well.",
    "the strike that began on {date:-9} ended on {wd} night.",
    "voters go to the polls on {wd:+5}, {date:+5}.",
    "the team lost on {wd:-2} and plays again on {wd:+3}.",
    "figures for {mon:-1} are expected on {wd:+1}.",
    "{other} was last seen near {place} on the evening of {date:-3}.",
    "trade usually slows between {mon:+3} and {mon:+5}, the report says.",
    "{weather} is forecast for {wd:+1}, easing by {wd:+2}.",
    "a decision is due before the end of {mon}, or in {mon:+1} at the latest.",
    "the museum, closed since {mon:-10} {year}, reopens on {wd:+4}.",
    "{n} passengers were delayed on {wd} when {thing} failed at {clock}.",
    "an inquiry opened in {mon:-4} has yet to report.",
)
_PROJECT = (
    "version {n} was released on {wd}, {date}, after a short delay.",
    "the tests failed on {wd} and passed on {wd:+1} without a change.",
    "{person} is away until {date:+6}; ask {other} about {task}.",
    "we freeze the code on {wd:+3} and ship in the first week of {mon:+1}.",
    "support for the old format ends in {mon:+5}.",
    "the outage of {date:-5} lasted from {clock} until {wd:+1} morning.",
    "planning is on {wd}, review on {wd:+4}, as always.",
    "of the issues opened in {mon:-1}, {n} are still open.",
    "{third} will finish {task} by {wd:+2}, or by {wd:+5} if the review is slow.",
    "traffic doubles every {mon} and falls back in {mon:+2}.",
    "the contract runs from {mon:+1} to {mon:+10}, with a break in {mon:+4}.",
    "backups run on {wd} and {wd:+3} nights at {clock}.",
    "the certificate expires on {date:+28}, so renew it before {wd:+7}.",
    "nothing is deployed on a {wd:+4} afternoon.",
    "results from the {mon:-2} survey were shared with {group} on {wd}.",
    "the budget for {mon:+1} must be signed by {date:+8}.",
)

Kind = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[int, int]]
#: Per kind: openings, body sentences, closes, and the least and most days between two sentences.
KINDS: dict[str, Kind] = {
    "diary": (
        (
            "{wd}, {date} {year}. {place}.", "{date}, a {wd}.", "{wd} again.", "{mon} {year}, from my room.",
        ),
        _DIARY,
        (
            "More on {wd:+1}.", "So ends {mon}.", "Tomorrow is {wd:+1}.", "Enough for one {wd}.",
        ),
        (1, 11),
    ),
    "minutes": (
        (
            "Minutes of {group}, {wd}, {date} {year}.", "{group}: notes of the {mon} meeting.",
        ),
        _MINUTES,
        (
            "The meeting closed at {clock}.", "Next meeting: {wd:+7}, {date:+7}.", "Signed, {person}.",
        ),
        (0, 9),
    ),
    "log": (
        (
            "Log kept at {place}, {mon} {year}.", "Station book, week of {date} {year}.",
        ),
        _LOG,
        (
            "End of the {mon} sheet.", "Book closed on {wd}.", "Handed over to {other} on {date}.",
        ),
        (0, 8),
    ),
    "letter": (
        (
            "{place}, {date} {year}. Dear {person},",
            "Dear {person}, it is {wd} and I have an hour to write.",
        ),
        _LETTER,
        (
            "Yours, {other}, {wd} night.", "With love until {mon:+1}, {other}.", "Your friend, {third}.",
        ),
        (0, 12),
    ),
    "calendar": (
        (
            "What is on at {place} in {mon} {year}.", "Dates for {group}, beginning {wd}, {date}.",
        ),
        _CALENDAR,
        (
            "The {mon:+1} programme follows on {date:+20}.", "Questions to {person} before {wd:+5}.",
        ),
        (1, 13),
    ),
    "garden": (
        (
            "Garden notes for {mon}.", "From the garden at {place}, {wd}, {date} {year}.",
        ),
        _GARDEN,
        (
            "More in {mon:+1}.", "The gate is open on {wd:+4} and {wd:+5}.",
        ),
        (3, 40),
    ),
    "news": (
        (
            "{place}, {date}.", "The week in brief, {wd}, {date} {year}.",
        ),
        _NEWS,
        (
            "The next issue appears on {wd:+7}.", "Corrections are printed every {wd:+2}.",
        ),
        (0, 9),
    ),
    "project": (
        (
            "Status, {wd}, {date} {year}.", "Notes to {group}, week of {date}.",
        ),
        _PROJECT,
        (
            "Back on {wd:+3}.", "The {mon:+1} plan comes on {date:+12}.", "Thanks to {other} and {third}.",
        ),
        (0, 10),
    ),
}  # fmt: skip
