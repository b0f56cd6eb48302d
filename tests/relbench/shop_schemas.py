"""More schemas of RelBench's data sets (`schemas`): shops, events, advertisements, and two of its second version."""

from __future__ import annotations

from tests.relbench.schemas import F1, STACK, TRIAL, autocomplete, forecast, links
from tests.relbench.stand_ins import MadeDataset, MadeTable

_BOUGHT = "SELECT customer_id AS key, t_dat AS at FROM transactions"
HM = MadeDataset(
    name="rel-hm", start="2019-09-07", val="2020-09-07", test="2020-09-14", end="2020-09-21", train_cutoffs=6,
    tables={
        "article": MadeTable(rows=500, pkey="article_id", columns={
            "product_code": "int 400", "prod_name": "category 300", "product_type_no": "int 100", "product_type_name":
            "category 90", "product_group_name": "category 15", "graphical_appearance_no": "int 30", "colour_group_code":
            "int 40", "colour_group_name": "category 40", "department_no": "int 90", "index_code": "category 10",
            "section_no": "int 50", "garment_group_name": "category 20", "detail_desc": "text 14"}),
        "customer": MadeTable(rows=3000, pkey="customer_id", columns={
            "FN": "number_or_null", "Active": "number_or_null", "club_member_status": "category 3",
            "fashion_news_frequency": "category 3", "age": "number_or_null", "postal_code": "name"}),
        "transactions": MadeTable(rows=40000, time="t_dat", fkeys={"customer_id": "customer", "article_id": "article"},
                                  columns={"price": "float", "sales_channel_id": "int 2"}),
    },
    tasks=(
        forecast("user-churn", "binary", ("customer", "customer_id"), "churn", 7, _BOUGHT,
                 "CASE WHEN COUNT(e.at) = 0 THEN 1 ELSE 0 END", active=7),
        forecast("item-sales", "regression", ("article", "article_id"), "sales", 7,
                 "SELECT article_id AS key, t_dat AS at, price FROM transactions WHERE isfinite(price)",
                 "COALESCE(SUM(e.price), 0)", active=None),
        links("user-item-purchase", ("customer", "customer_id"), ("article", "article_id"), 7,
              "SELECT customer_id AS src, article_id AS dst, t_dat AS at FROM transactions", 12),
        autocomplete("transactions-price", "regression", "transactions", "price"),
    ),
)  # fmt: skip

AMAZON = MadeDataset(
    name="rel-amazon", start="2008-01-01", val="2015-10-01", test="2016-01-01", end="2016-04-10",
    tables={
        "product": MadeTable(rows=500, pkey="product_id", columns={
            "category": "list", "brand": "category 200", "title": "text 7", "description": "text 40", "price": "float"}),
        "customer": MadeTable(rows=1500, pkey="customer_id", columns={"customer_name": "name"}),
        "review": MadeTable(rows=20000, time="review_time", fkeys={"customer_id": "customer", "product_id": "product"},
                            columns={"rating": "int 5", "verified": "bool", "review_text": "text 25", "summary": "text 4"}),
    },
    tasks=(
        *(forecast(f"{who}-{what}", kind, (table, key), target, 91,
                   f"SELECT r.{key} AS key, review_time AS at, price FROM review r JOIN product USING (product_id) "
                   "WHERE isfinite(price)", value)
          for who, table, key in (("user", "customer", "customer_id"), ("item", "product", "product_id"))
          for what, kind, target, value in (("churn", "binary", "churn", "CASE WHEN COUNT(e.at) = 0 THEN 1 ELSE 0 END"),
                                            ("ltv", "regression", "ltv", "COALESCE(SUM(e.price), 0)"))),
        links("user-item-purchase", ("customer", "customer_id"), ("product", "product_id"), 91,
              "SELECT customer_id AS src, product_id AS dst, review_time AS at FROM review", 10),
        autocomplete("review-rating", "regression", "review", "rating", [("review", "review_text"), ("review", "summary")]),
    ),
)  # fmt: skip

_ATTENDED = "SELECT user_id AS key, start_time AS at, status FROM event_attendees"
EVENT = MadeDataset(
    name="rel-event", start="2012-01-01", val="2012-11-21", test="2012-11-29", end="2012-12-12", train_cutoffs=10,
    tables={
        "users": MadeTable(rows=1500, pkey="user_id", time="joinedAt", columns={
            "locale": "category 30", "birthyear": "number_or_null", "gender": "category 2", "location": "category 90",
            "timezone": "number_or_null"}),
        "events": MadeTable(rows=3000, pkey="event_id", time="start_time", fkeys={"user_id": "users"}, columns={
            "city": "category 50", "state": "category 30", "zip": "category 90", "country": "category 10", "lat": "float",
            "lng": "float", **{f"c_{i}": "int 3" for i in range(1, 40)}, "c_other": "int 50"}),
        "event_attendees": MadeTable(rows=20000, time="start_time", time_of="event",
                                     fkeys={"event": "events", "user_id": "users"}, columns={"status": "category 4"}),
        "event_interest": MadeTable(rows=4000, time="timestamp", fkeys={"event": "events", "user": "users"},
                                    columns={"invited": "int 1", "interested": "int 1", "not_interested": "int 1"}),
        "user_friends": MadeTable(rows=15000, fkeys={"user": "users", "friend": "users"}),
    },
    tasks=(
        forecast("user-attendance", "regression", ("users", "user"), "target", 7, _ATTENDED,
                 "COUNT(CASE WHEN e.status IN ('kind 0', 'kind 1') THEN 1 END)", active=60),
        forecast("user-repeat", "binary", ("users", "user"), "target", 7, _ATTENDED,
                 "CASE WHEN COUNT(e.at) > 0 THEN 1 ELSE 0 END", active=14),
        forecast("user-ignore", "binary", ("users", "user"), "target", 7, _ATTENDED,
                 "CASE WHEN COUNT(CASE WHEN e.status = 'kind 2' THEN 1 END) > 0 THEN 1 ELSE 0 END", active=60),
        autocomplete("event_interest-interested", "binary", "event_interest", "interested",
                     [("event_interest", "not_interested")]),
        autocomplete("users-birthyear", "regression", "users", "birthyear"),
    ),
)  # fmt: skip

_SEEN = {"UserID": "UserInfo", "AdID": "AdsInfo"}
AVITO = MadeDataset(
    name="rel-avito", start="2015-04-25", val="2015-05-08", test="2015-05-14", end="2015-05-20",
    tables={
        "Category": MadeTable(rows=50, scales=False, pkey="CategoryID", columns={
            "Level": "number_or_null", "ParentCategoryID": "number_or_null", "SubcategoryID": "number_or_null"}),
        "Location": MadeTable(rows=200, scales=False, pkey="LocationID", columns={
            "Level": "number_or_null", "CityID": "number_or_null", "RegionID": "number_or_null"}),
        "UserInfo": MadeTable(rows=1500, pkey="UserID", columns={
            "UserAgentID": "number_or_null", "UserAgentOSID": "number_or_null", "UserDeviceID": "number_or_null"}),
        "AdsInfo": MadeTable(rows=4000, pkey="AdID", fkeys={"LocationID": "Location", "CategoryID": "Category"}, columns={
            "Price": "float", "Title": "text 5", "IsContext": "number_or_null"}),
        "SearchInfo": MadeTable(rows=8000, pkey="SearchID", time="SearchDate",
                                fkeys={"UserID": "UserInfo", "LocationID": "Location", "CategoryID": "Category"},
                                columns={"IPID": "int 900", "IsUserLoggedOn": "bool", "SearchQuery": "text 3"}),
        "SearchStream": MadeTable(rows=20000, time="SearchDate", time_of="SearchID",
                                  fkeys={"SearchID": "SearchInfo", "AdID": "AdsInfo"},
                                  columns={"Position": "int 8", "ObjectType": "int 3", "HistCTR": "float", "IsClick":
                                           "int 1"}),
        "VisitStream": MadeTable(rows=10000, time="ViewDate", fkeys=_SEEN),
        "PhoneRequestsStream": MadeTable(rows=3000, time="PhoneRequestDate", fkeys=_SEEN),
    },
    tasks=(
        forecast("ad-ctr", "regression", ("AdsInfo", "AdID"), "num_click", 4,
                 "SELECT AdID AS key, SearchDate AS at, IsClick AS v FROM SearchStream", "AVG(e.v)", active=None),
        forecast("user-visits", "binary", ("UserInfo", "UserID"), "num_click", 4,
                 "SELECT UserID AS key, ViewDate AS at FROM VisitStream", "CASE WHEN COUNT(e.at) > 1 THEN 1 ELSE 0 END",
                 active=None),
        forecast("user-clicks", "binary", ("UserInfo", "UserID"), "num_click", 4,
                 "SELECT i.UserID AS key, s.SearchDate AS at, s.IsClick AS v FROM SearchStream s JOIN SearchInfo i USING "
                 "(SearchID)", "CASE WHEN SUM(e.v) > 1 THEN 1 ELSE 0 END", active=None),
        links("user-ad-visit", ("UserInfo", "UserID"), ("AdsInfo", "AdID"), 4,
              "SELECT UserID AS src, AdID AS dst, ViewDate AS at FROM VisitStream", 12),
        autocomplete("searchstream-click", "binary", "SearchStream", "IsClick"),
        autocomplete("searchinfo-isuserloggedon", "binary", "SearchInfo", "IsUserLoggedOn"),
    ),
)  # fmt: skip

SALT = MadeDataset(
    name="rel-salt", start="2018-01-01", val="2020-02-01", test="2020-07-01", end="2021-01-01",
    tables={
        "address": MadeTable(rows=200, pkey="ADDRESSID", columns={"COUNTRY": "category 12", "REGION": "category 40"}),
        "customer": MadeTable(rows=500, pkey="CUSTOMER", fkeys={"ADDRESSID": "address"}),
        "salesdocument": MadeTable(rows=3000, pkey="SALESDOCUMENT", time="CREATIONTIMESTAMP", columns={
            "SALESORGANIZATION": "category 6", "SALESOFFICE": "category 8", "SALESGROUP": "category 30",
            "CUSTOMERPAYMENTTERMS": "category 12"}),
        "salesdocumentitem": MadeTable(
            rows=8000, pkey="ID", time="CREATIONTIMESTAMP", time_of="SALESDOCUMENT",
            fkeys={"SALESDOCUMENT": "salesdocument", "SOLDTOPARTY": "customer", "SHIPTOPARTY": "customer",
                   "BILLTOPARTY": "customer", "PAYERPARTY": "customer"},
            columns={"PRODUCT": "category 90", "PLANT": "category 9", "SHIPPINGPOINT": "category 9"}),
    },
    tasks=(
        autocomplete("item-plant", "multiclass", "salesdocumentitem", "PLANT",
                     [("salesdocumentitem", "SHIPPINGPOINT"), ("salesdocument", "SALESOFFICE")]),
        autocomplete("sales-group", "multiclass", "salesdocument", "SALESGROUP", [("salesdocument", "SALESOFFICE")]),
    ),
)  # fmt: skip

ARXIV = MadeDataset(
    name="rel-arxiv", start="2018-01-01", val="2022-01-01", test="2023-01-01", end="2023-12-31",
    tables={
        "categories": MadeTable(rows=20, scales=False, pkey="Category_ID", columns={"Category": "name"}),
        "authors": MadeTable(rows=800, pkey="Author_ID", columns={"Name": "name"}),
        "papers": MadeTable(rows=3000, pkey="Paper_ID", time="Submission_Date", columns={
            "Title": "text 8", "Abstract": "text 40", "Primary": "category 9"}),
        "citations": MadeTable(rows=9000, time="Submission_Date",
                               fkeys={"Paper_ID": "papers", "References_Paper_ID": "papers"}),
        "paperCategories": MadeTable(rows=5000, time="Submission_Date", time_of="Paper_ID",
                                     fkeys={"Paper_ID": "papers", "Category_ID": "categories"}),
        "paperAuthors": MadeTable(rows=8000, time="Submission_Date", time_of="Paper_ID",
                                  fkeys={"Paper_ID": "papers", "Author_ID": "authors"}),
    },
    tasks=(
        forecast("paper-citation", "binary", ("papers", "Paper_ID"), "cited", 182,
                 "SELECT References_Paper_ID AS key, Submission_Date AS at FROM citations",
                 "CASE WHEN COUNT(e.at) > 0 THEN 1 ELSE 0 END", active=None, time="date"),
        forecast("author-category", "multiclass", ("authors", "Author_ID"), "primary_category", 182,
                 "SELECT a.Author_ID AS key, a.Submission_Date AS at, c.Category_ID AS v FROM paperAuthors a JOIN "
                 "paperCategories c USING (Paper_ID)", "MODE(e.v)", active=None, time="date"),
        forecast("author-topics", "multilabel", ("authors", "Author_ID"), "topics", 182,
                 "SELECT a.Author_ID AS key, a.Submission_Date AS at, c.Category_ID AS v FROM paperAuthors a JOIN "
                 "paperCategories c USING (Paper_ID)",
                 "CASE WHEN COUNT(e.v) > 0 THEN [COUNT(CASE WHEN e.v % 3 = 0 THEN 1 END) > 0, COUNT(CASE WHEN e.v % 3 = 1 "
                 "THEN 1 END) > 0]::INT[] END",
                 active=None, time="date"),
        links("paper-paper-cocitation", ("papers", "Paper_ID"), ("papers", "Cocited"), 365,
              "SELECT a.References_Paper_ID AS src, b.References_Paper_ID AS dst, a.Submission_Date AS at FROM citations "
              "a JOIN citations b USING (Paper_ID) WHERE a.References_Paper_ID <> b.References_Paper_ID", 10, "date"),
    ),
)  # fmt: skip

#: Name -> data set.
DATASETS = {one.name: one for one in (F1, STACK, TRIAL, HM, AMAZON, EVENT, AVITO, SALT, ARXIV)}
