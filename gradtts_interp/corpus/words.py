"""Word lists of the sentence grammar: common English words of the CMU dictionary, chosen for phonetic coverage."""

from __future__ import annotations

NOUNS = tuple(
    """
    apple arrow artist baker basket beach bird boat bottle box boy branch bread bridge brother brush bucket butter
    button cabin cable camera candle captain carpet castle cat chair chapter cheese cherry chicken child church
    circle city clock cloud coat coffee corner cottage cousin cow crowd cup curtain daughter desk doctor dog door
    dragon dress driver drum eagle edge egg elephant engine envelope farmer father feather fence field finger fire
    fish flag flower forest fork fox friend frog game garden gate ghost giant girl glass glove goat guitar hammer
    hand harbor hat hedge helmet hill horse hospital hotel house island jacket jar jewel journey judge juice juror
    key king kitchen kite knife ladder lake lamp lawyer leaf leather lemon letter library lion machine magic map
    market measure medal message mirror money monkey moon mother mountain mouse museum mushroom music nation needle
    neighbor nest nurse oak ocean office onion orange oven owl oyster package page painter paper parrot path pencil
    pepper piano picture pilot pirate planet plate pocket poem poet pond potato prince puzzle queen rabbit radio
    razor ribbon ring river road robot rocket roof rope rose sailor salad sandwich school scissors shadow sheep
    shelf ship shirt shoe shoulder singer sister snake soldier song soup spider spoon square stable station stone
    storm story street student sugar summer sword table tailor teacher temple thief thread throne thumb ticket tiger
    toad tower town toy train treasure tree trumpet tunnel turtle umbrella uncle valley vase vessel village violin
    vision voice wagon wall watch water weather whale wheel whistle widow window winter witch wizard wolf woman wood
    yacht yard zebra
    """.split()
)

PLURALS = tuple(
    """
    apples arrows badges beaches birds boats books bottles boxes branches brushes bushes buttons candles cats chairs
    cherries children churches clouds coins cookies cousins cows cups dogs doors dragons eagles eggs engines farmers
    feathers fences fields fingers fires flags flowers forests foxes friends frogs games ghosts giants gloves goats
    hammers horses houses islands jewels judges keys kings knives ladders leaves lemons letters lions maps masks men
    mice mirrors monkeys mountains mushrooms noises nurses oceans onions oranges owls oysters pages painters
    pancakes paths peaches pearls pencils pictures pilots planets plates poems potatoes puppies puzzles queens
    rabbits ribbons rings rivers roads robots ropes roses sailors shadows sheep ships shoes singers snakes songs
    soldiers spiders spoons stones stories streets swords tables teachers thieves thumbs tickets tigers towers toys
    trees turtles valleys villages voices walls watches whales wheels windows witches wolves women wishes zebras
    """.split()
)

# "base/past" of transitive verbs.
TRANSITIVE = tuple(
    tuple(pair.split("/"))
    for pair in """
    admire/admired answer/answered avoid/avoided believe/believed blame/blamed borrow/borrowed break/broke
    bring/brought build/built bury/buried buy/bought call/called carry/carried catch/caught change/changed
    chase/chased choose/chose clean/cleaned close/closed collect/collected count/counted cover/covered cross/crossed
    deliver/delivered destroy/destroyed discover/discovered draw/drew drop/dropped enjoy/enjoyed examine/examined
    find/found finish/finished fix/fixed follow/followed forget/forgot frighten/frightened gather/gathered
    grab/grabbed guard/guarded hate/hated hear/heard help/helped hide/hid hold/held imagine/imagined join/joined
    judge/judged keep/kept kick/kicked kiss/kissed know/knew lift/lifted like/liked lose/lost love/loved make/made
    mark/marked measure/measured meet/met miss/missed move/moved name/named need/needed notice/noticed offer/offered
    open/opened order/ordered own/owned paint/painted pass/passed pick/picked please/pleased polish/polished
    praise/praised prefer/preferred promise/promised pull/pulled push/pushed reach/reached remember/remembered
    repair/repaired save/saved see/saw sell/sold send/sent serve/served share/shared show/showed shut/shut
    smell/smelled steal/stole study/studied surprise/surprised taste/tasted teach/taught thank/thanked throw/threw
    touch/touched trust/trusted turn/turned use/used visit/visited want/wanted wash/washed watch/watched win/won
    worry/worried
    """.split()
)

# "base/past" of intransitive verbs.
INTRANSITIVE = tuple(
    tuple(pair.split("/"))
    for pair in """
    agree/agreed appear/appeared arrive/arrived bake/baked bark/barked begin/began bloom/bloomed blush/blushed
    boil/boiled bounce/bounced bow/bowed breathe/breathed burn/burned change/changed cheer/cheered climb/climbed
    cough/coughed crawl/crawled cry/cried dance/danced decide/decided disappear/disappeared dive/dived doze/dozed
    dream/dreamed drift/drifted drown/drowned escape/escaped fade/faded fail/failed fall/fell fight/fought
    float/floated fly/flew freeze/froze gallop/galloped giggle/giggled glow/glowed grow/grew grumble/grumbled
    hesitate/hesitated hop/hopped howl/howled hurry/hurried jump/jumped kneel/knelt land/landed laugh/laughed
    lean/leaned learn/learned leave/left listen/listened march/marched matter/mattered melt/melted moan/moaned
    nod/nodded obey/obeyed pause/paused play/played point/pointed pray/prayed rest/rested return/returned ride/rode
    rise/rose roar/roared roll/rolled run/ran rush/rushed sail/sailed shake/shook shine/shone shout/shouted
    shrug/shrugged sigh/sighed sing/sang sink/sank sit/sat sleep/slept slide/slid smile/smiled sneeze/sneezed
    speak/spoke spin/spun stand/stood stop/stopped stumble/stumbled swim/swam talk/talked think/thought
    travel/traveled tremble/trembled vanish/vanished wait/waited wake/woke walk/walked wander/wandered
    whisper/whispered wonder/wondered work/worked yawn/yawned yell/yelled
    """.split()
)

ADJECTIVES = tuple(
    """
    ancient angry awful bad beautiful big bitter black blue bold brave bright broken brown busy calm careful cheap
    cheerful clean clever cold common cool crazy cruel curious dangerous dark dear deep dirty dry dull eager early
    easy empty equal fair famous fancy fast favorite fierce fine foolish foreign fresh friendly full funny generous
    gentle giant glad golden good grand gray great green handsome happy hard healthy heavy helpful hollow honest
    huge humble hungry icy idle invisible jealous jolly joyful juicy kind large late lazy light little lonely long
    loud lovely lucky mad magic mighty modern narrow nasty neat new nice noble noisy odd old open orange patient
    perfect plain pleasant polite poor pretty proud pure purple quick quiet rare red rich rough round royal rude sad
    safe sharp shiny short shy silent silly silver simple sleepy slow small smart smooth soft sour special square
    strange strong sudden sweet swift tall tame terrible thick thin thirsty tiny tired tough ugly unusual useful
    usual vague vast warm weak wealthy white wicked wide wild wise wooden yellow young
    """.split()
)

ADVERBS = tuple(
    """
    again almost alone always angrily badly bravely brightly calmly carefully casually cheaply clearly closely
    easily eagerly early exactly fairly finally firmly gently gladly happily heavily here highly honestly indoors
    kindly lately lightly loudly mainly merely neatly never nicely nightly often once openly outside partly
    perfectly politely poorly proudly quickly quietly rarely really roughly sadly safely seldom sharply shortly
    silently simply slowly smoothly softly somehow soon straight strangely strongly suddenly sweetly there thickly
    together tonight truly twice usually warmly weakly well widely wildly wisely yearly yesterday
    """.split()
)

NAMES = tuple(
    """
    Adam Alice Amy Andrew Anna Arthur Ben Betty Brian Carl Carol Charles Charlotte Chloe Clara Daisy Daniel David
    Diana Dorothy Edward Ellen Emily Emma Eric Eva Faith Felix Fiona Florence Frank George Grace Hannah Harry
    Heather Helen Henry Holly Hugh Ian Irene Isaac Jack James Jane Jason Jean Jenny Joe John Joseph Joyce Judith
    Julia Karen Kate Keith Kevin Larry Laura Leo Lily Linda Lucy Luke Margaret Mark Martha Martin Mary Matthew Maria
    Michael Molly Nancy Nathan Nick Noah Nora Oliver Oscar Patrick Paul Peter Philip Rachel Ralph Richard Robert
    Roger Rose Ruth Sally Sam Sarah Sean Sharon Simon Sophie Stephen Susan Thomas Timothy Toby Tony Troy Vera Victor
    Vincent Violet Walter Wendy William Zoe
    """.split()
)

PLACES = tuple(
    """
    Africa Alaska America Arizona Asia Athens Austin Australia Austria Baltimore Belgium Berlin Boston Brazil
    Brooklyn Cairo California Canada Charleston Chicago Chile China Cleveland Columbus Cuba Dallas Delaware Denmark
    Denver Detroit Dublin Egypt England Europe Finland Florida France Geneva Georgia Germany Ghana Greece Hamburg
    Havana Hawaii Holland Houston Hungary Idaho India Indiana Iowa Iran Ireland Israel Italy Jamaica Japan Jersey
    Jordan Kansas Kentucky Kenya Korea Lebanon London Madrid Maine Malta Maryland Memphis Mexico Miami Milan Montana
    Moscow Munich Naples Nashville Nebraska Nevada Norway Ohio Oklahoma Oregon Oxford Panama Paris Peru Philadelphia
    Phoenix Pittsburgh Poland Portugal Prague Richmond Rome Russia Scotland Spain Sweden Sydney Syria Texas Tokyo
    Toronto Turkey Utah Venice Vermont Vienna Virginia Wales Warsaw Washington Wisconsin Zurich
    """.split()
)

NUMBERS = tuple(
    """
    two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety
    """.split()
)

PREPOSITIONS = tuple(
    "above across after against among around before behind below beneath beside near over past toward".split()
)
CONJUNCTIONS = tuple("and but while because although until before after since".split())
OPENERS = tuple("today tonight yesterday sometimes suddenly usually finally somehow meanwhile perhaps".split())
DETERMINERS = ("the", "a", "this", "that", "every", "my", "your", "his", "her", "our", "their", "each", "another")
