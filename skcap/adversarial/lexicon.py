"""Closed lists of English words that the rules of the adversarial sets use."""

from __future__ import annotations

__all__ = [
    "ADJECTIVES",
    "ADVERBS",
    "BE_AND_HAVE",
    "DETERMINERS",
    "FUNCTION_WORDS",
    "NAMES",
    "NOT_PLURAL",
    "NUMBER_WORDS",
    "PARTICIPLES",
    "PARTICLES",
    "PAST_FORMS",
    "UNCOUNTABLE",
    "VERBS",
    "VERBS_AND_NOUNS",
    "VERB_CUES",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words(
    "a an the my your his her its our their this that these those some any no each every another "
    "all both which what whose"
)

VERB_CUES = _words(
    "to i you we they he she it can could will would should must may might shall do does did dont "
    "cant wont please pls let not never don't can't won't didn't doesn't couldn't just"
)
"""Words that stand before a verb rather than before a noun."""

BE_AND_HAVE = _words(
    "be am is are was were been being isn't aren't wasn't weren't have has had having haven't "
    "hasn't hadn't get got gets i've you've we've they've ive it's that's"
)
"""Words that stand before a participle."""

PARTICLES = _words("on off up down out in over back away")
"""Second words of verbs of two words, such as turn off."""

ADVERBS = _words(
    "ago ahead now today tomorrow tonight yesterday soon instead together forever anymore "
    "anywhere somewhere everywhere beforehand nearby near outdoors inside outside in-person "
    "in-store home abroad overseas later earlier right left away back enough asap overnight "
    "upstairs downstairs towards toward indoors"
)

FUNCTION_WORDS = (
    DETERMINERS
    | VERB_CUES
    | _words(
        "me him us them mine yours hers ours theirs myself yourself itself themselves who whom "
        "be am is are was were been being isn't aren't wasn't weren't isnt arent wasnt have has "
        "had having haven't hasn't hadn't havent hasnt doing done didnt doesnt couldnt wouldn't "
        "shouldn't wouldnt shouldnt and or but nor so if then than as because while though "
        "although unless until since of in on at by for with from into onto out off up down "
        "over under about above below near towards toward inside outside uh uhh um hmm ah em "
        "pls ago between through during before after against within without via per around how "
        "when where why there here when's where's how's what's too very also only even still "
        "yet already again ever more most less least much many few lot lots such same other "
        "others own else i'm i've i'd i'll im ive ill you're you've you'll youre we're we've "
        "we'll they're they've it's it'd it'll that's thats there's theres let's lets whats "
        "hows wheres ok okay oh hi hello hey thanks thank yes yeah yep well really quite rather "
        "maybe perhaps like get got getting gets go going goes went gone want wants wanted need "
        "needs needed know tell give make made makes would've could've gonna wanna something "
        "anything nothing everything someone anyone everyone somebody anybody thing things way "
        "ways one ones able sure"
    )
)
"""Words that carry grammar or courtesy rather than an intent; never keywords."""

NUMBER_WORDS = _words(
    "zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred hundreds thousand thousands million millions billion dozen half quarter once twice "
    "second third fourth fifth sixth seventh eighth ninth tenth noon midnight am pm a.m p.m"
)

NAMES = _words(
    "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays "
    "thursdays fridays saturdays sundays january february april june july august september "
    "october november december christmas easter halloween thanksgiving america american europe "
    "european england english britain british uk usa france french paris germany german italy "
    "italian spain spanish mexico mexican china chinese japan japanese russia russian india "
    "indian canada canadian australia australian london york chicago boston google apple uber "
    "facebook twitter amazon netflix spotify pandora starbucks walmart visa mastercard amex "
    "dallas vegas las los angeles texas kansas hawaii california florida seattle denver atlanta "
    "austin houston miami orlando phoenix toronto berlin rome tokyo moscow thailand thai brazil "
    "argentina vietnam vietnamese ireland irish norway norwegian korea korean virginia kentucky "
    "ohio brooklyn manila melbourne liverpool singapore africa asia world siri alexa john mary "
    "bob tom joe sarah dave mike david jamie jerry tony justin michael eli"
)
"""Names that are frequent in lower-case texts; no list of names is complete."""

PAST_FORMS = _words(
    "lost stole sent paid bought brought took wrote broke forgot spent withdrew gave knew saw "
    "found kept held sold told said heard met stuck built felt left meant caught won lent became "
    "began came ran ate chose spoke drove froze thought taught swore wore slept"
)
PARTICIPLES = _words(
    "lost stolen sent paid bought brought taken written broken forgotten spent withdrawn given "
    "known seen shown found kept held sold told said heard met stuck built felt left meant caught "
    "won lent done become begun eaten chosen spoken driven frozen thought taught born gotten "
    "sworn"
)

ADJECTIVES = _words(
    "happy sad new old wrong right correct incorrect extra double pending virtual physical "
    "available possible next last first current recent foreign international local free cheap "
    "expensive good bad best better great nice fast faster slow slower quick early earlier late "
    "later loud louder quiet quieter high higher low lower bright brighter dark darker hot cold "
    "warm big small large long short full empty open upcoming different spare safe secure valid "
    "invalid contactless disposable automatic direct due daily weekly monthly annual favorite "
    "favourite whole funny healthy busy unable ready actual additional average aware unaware "
    "black blue red pink green white yellow clear cheaper cheapest closest nearest latest "
    "funniest safest longer longest older oldest greater greatest newest complete cool dead "
    "economic electric exact excellent false true fantastic federal female male fresh frozen "
    "fraudulent fun human hungry initial magnetic maximum minimum musical neat necessary "
    "official organic particular past perfect personal pretty public real royal similar social "
    "soft special specific strange strict sunny typical unfamiliar untrue urgent wild zesty "
    "online eastern southern western northern total main duplicate separate several certain "
    "hard easy simple crazy sorry"
)

NOT_PLURAL = _words(
    "always news gas plus status bus address process access business express across less this was "
    "has does yes is its us as previous various stress press pass miss lens series analysis basis "
    "directions besides towards perhaps whereas sometimes gps mass class glass tennis jazz gross "
    "savings overseas headquarters paris dallas vegas texas kansas angeles illinois james thomas "
    "charles wales philippines netherlands honduras las los ours hers theirs"
)

UNCOUNTABLE = _words(
    "money cash music weather news information traffic insurance gas jazz currency salary rain "
    "humidity food water lighting identity vacation help advice luggage mail data homework"
)
"""Nouns that get no plural."""

VERBS = _words(
    "activate add allow apply arrive ask become begin believe bring buy cancel choose close "
    "confirm connect convert create decline delete deliver describe detect dim disable edit "
    "enable expire explain fail find follow forget happen hear inform keep learn listen locate "
    "lose lower mean mute notify obtain pay pause put raise read receive recognize recommend "
    "recover remember remind remove rename repeat replace reschedule resume retrieve return "
    "reveal say see seem sell send share show shuffle shut sing skip snooze speak spell stop "
    "suggest swallow sync take teach tell terminate try tune turn unblock understand unfreeze "
    "unlock verify wake write withdraw wish define compute calculate measure vacuum pick "
    "include cost expect accept reject deny refill redeem improve increase decrease dial adjust "
    "abort appreciate assist authorize avoid bake carry come complain consider continue "
    "disconnect discover enjoy erase fetch initiate identify indicate manage owe prove provide "
    "produce possess reactivate redirect reduce reflect refrain require resolve revert reverse "
    "select solve submit suspect think unmute bother care sit stand hate love prefer eat drink "
    "fly die agree install attach detach combine clarify pronounce remain deserve belong relax "
    "translate sum spend decide"
)
"""Base forms of verbs that are hardly ever nouns."""

VERBS_AND_NOUNS = _words(
    "alarm answer block book brew call change charge check clean cook cover credit damage dance "
    "debit deposit drive email exchange file flip freeze fund guess help joke land light limit "
    "link list look lock mark match meet message move name need note offer open order park "
    "phone place plan play plug post print purchase question quote ram rate record refund rent "
    "reply report request reserve reset rest review ring roll save schedule search set shop "
    "sign sleep sound start step store stream support swap switch talk tax test text tip top "
    "trace track trade transfer travel trip trust type update upgrade use view visit volume "
    "wait walk warm wash watch work top-up topup download upload wire cash fix access camp "
    "cause chase command contact cruise display experience fare feed frame hold hop jump laugh "
    "leave map market mind matter process pull ride rotate rule run serve silence sort split "
    "substitute tweet voice whisper yell blend crash score research bite taste smell touch bet "
    "swim"
)
"""Base forms of verbs that are nouns, too; what stands before them decides."""
